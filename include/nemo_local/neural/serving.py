"""Answers by greedy generation: one resident model a base, its adapters switched per request."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from peft import get_peft_model, set_peft_model_state_dict
from transformers import DynamicCache

from include.nemo_local.engine.errors import BadAdapter
from include.nemo_local.neural.adapter import NeuralAdapter, lora_config
from include.nemo_local.neural.base import Base
from include.nemo_local.neural.chat import message_of, prompt_of
from include.nemo_local.neural.learning import drawing
from include.nemo_local.neural.vocabulary import Control

_ADAPTERS_RESIDENT = 16
_UNUSED = "unused"


class Resident:
    """A base with the adapters that were asked last. Any thread may ask; one is answered at a time."""

    def __init__(self, base: Base) -> None:
        self._base = base
        self._lock = threading.Lock()
        plain = base.model()
        with drawing(0):
            # PEFT wants an adapter to begin with; this one is never switched on.
            self._model = get_peft_model(plain, lora_config(1), adapter_name=_UNUSED).eval()
        self._names: OrderedDict[int, tuple[str, NeuralAdapter]] = OrderedDict()
        self._made = 0

    def answer(self, request: Mapping[str, Any], adapter: NeuralAdapter | None) -> dict[str, Any]:
        """The assistant message to a chat-completion body; equal requests get equal answers.

        `finish_reason` is in it where `max_tokens` or the context ended it. Raises BadAdapter for an adapter
        of another base.
        """
        vocabulary, context = self._base.vocabulary, self._base.recipe.context_tokens
        prompt, forced = prompt_of(request, vocabulary, context)
        asked = request.get("max_completion_tokens") or request.get("max_tokens") or context
        most = min(asked, context - len(prompt) - len(forced))
        with self._lock, torch.inference_mode():
            if adapter is None:
                with self._model.disable_adapter():
                    written, ended = self._write(prompt + forced, most)
            else:
                self._model.set_adapter(self._name_of(adapter))
                written, ended = self._write(prompt + forced, most)
        return message_of(request, forced + written, vocabulary, ended=ended)

    def _write(self, prompt: list[int], most: int) -> tuple[list[int], bool]:
        """The likeliest token after the other, and whether the end was written."""
        model = self._model.get_base_model()
        cache = DynamicCache()
        end = self._base.vocabulary.id_of(Control.END)
        written: list[int] = []
        step = torch.tensor([prompt])
        while len(written) < most:
            hidden = model.model(input_ids=step, past_key_values=cache, use_cache=True).last_hidden_state
            token = int(model.lm_head(hidden[0, -1]).argmax())
            if token == end:
                return written, True
            written.append(token)
            step = torch.tensor([[token]])
        return written, False

    def _name_of(self, adapter: NeuralAdapter) -> str:
        """The adapter's name in the model, which it is put into on first use."""
        if adapter.base_digest != self._base.digest:
            raise BadAdapter(
                f"the adapter was fitted on base {adapter.base_digest}, which is not {self._base.digest}: "
                "fit it again"
            )
        if id(adapter) not in self._names:
            self._made += 1
            name = f"adapter_{self._made}"
            with drawing(0):
                self._model.add_adapter(name, lora_config(adapter.adapter_dim))
            set_peft_model_state_dict(self._model, adapter.weights, adapter_name=name)
            self._model.eval()
            self._names[id(adapter)] = name, adapter
        self._names.move_to_end(id(adapter))
        if len(self._names) > _ADAPTERS_RESIDENT:
            _, (oldest, _) = self._names.popitem(last=False)
            self._model.delete_adapter(oldest)
        return self._names[id(adapter)][0]

"""The neural engine as the stand-in's services use it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from include.nemo_local.engine.hyperparameters import EpochReport, Hyperparameters
from include.nemo_local.neural.adapter import FILE_NAME, NeuralAdapter
from include.nemo_local.neural.base import Base, Bases
from include.nemo_local.neural.fitting import LoraOrder, fit
from include.nemo_local.neural.serving import Resident
from include.nemo_local.neural.sizes import Recipe, recipe_of


class NeuralEngine:
    """Decoders trained from scratch, LoRA by PEFT, greedy generation; bases are kept below `folder`."""

    name = "neural"
    detail = "small decoders trained from scratch on generic text (transformers), customized by LoRA (PEFT)"
    adapter_file = FILE_NAME

    def __init__(self, folder: Path, recipe_for: Callable[[str], Recipe] = recipe_of) -> None:
        # These matrices are too small to share among threads, and one thread adds in one order.
        torch.set_num_threads(1)
        self._bases = Bases(folder)
        self._recipe_for = recipe_for
        self._lock = threading.Lock()
        self._residents: dict[str, Resident] = {}

    def fit(
        self,
        train_rows: Iterable[Mapping[str, Any]],
        val_rows: Iterable[Mapping[str, Any]],
        base_model: str,
        hyperparameters: Mapping[str, Any],
        *,
        on_epoch: Callable[[EpochReport], bool],
        stop_wanted: Callable[[], bool] = lambda: False,
    ) -> NeuralAdapter:
        """Fits LoRA on the base of that model. Raises NoTrainingRows, TrainingCancelled."""
        lora = hyperparameters.get("lora") or {}
        common = Hyperparameters(
            epochs=hyperparameters["epochs"],
            batch_size=hyperparameters["batch_size"],
            learning_rate=hyperparameters["learning_rate"],
            adapter_dim=lora.get("adapter_dim", 8),
            seed=hyperparameters["seed"],
        )
        order = LoraOrder(common, adapter_dropout=lora.get("adapter_dropout", 0.0))
        base = self._bases.get(self._recipe_for(base_model), stop_wanted)
        return fit(train_rows, val_rows, base, order, on_epoch=on_epoch, stop_wanted=stop_wanted)

    def load(self, path: Path) -> NeuralAdapter:
        """Raises BadAdapter for a file that `fit` and `save` did not make."""
        return NeuralAdapter.load(path)

    def answer(
        self, request: Mapping[str, Any], base_model: str, adapter: NeuralAdapter | None = None
    ) -> dict[str, Any]:
        """The assistant message to a chat-completion body. Raises BadAdapter for one of another base."""
        base = self._bases.get(self._recipe_for(base_model))
        return self._resident(base).answer(request, adapter)

    def _resident(self, base: Base) -> Resident:
        with self._lock:
            if base.digest not in self._residents:
                self._residents[base.digest] = Resident(base)
            return self._residents[base.digest]

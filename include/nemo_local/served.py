"""Which models can be asked now, and asking them: the code path of the NIM proxy and of the Evaluator."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from include.nemo_local import clock, engine
from include.nemo_local.engine import production
from include.nemo_local.errors import ModelNotServed
from include.nemo_local.services.deployment import Deployments
from include.nemo_local.store import Record, Store

_ADAPTERS_IN_MEMORY = 16
_CHARACTERS_PER_TOKEN = 4
_PRODUCTION_LATENCY_MS_PER_TOKEN = 24.0


@dataclass(frozen=True)
class Completion:
    """An answer: the OpenAI response, and the latency that it would have had (nothing waited for it)."""

    response: dict[str, Any]
    simulated_latency_ms: float

    @property
    def message(self) -> dict[str, Any]:
        """The assistant's message."""
        message: dict[str, Any] = self.response["choices"][0]["message"]
        return message


class ServedModels:
    """The models of ready deployments, the adapters trained on them, and the production model."""

    def __init__(self, store: Store, deployments: Deployments) -> None:
        self._store = store
        self._deployments = deployments
        self._production = production.ProductionAgent()
        self._lock = threading.Lock()
        self._adapters: OrderedDict[str, engine.Adapter] = OrderedDict()

    def names(self) -> list[str]:
        """What ``GET /v1/models`` lists, the production model first."""
        bases = self._deployments.ready_models()
        adapters = [name for record, name in self._listed_adapters() if record.body["base_model"] in bases]
        return [production.MODEL_NAME, *bases, *adapters]

    def listing(self) -> dict[str, Any]:
        """The OpenAI list of models."""
        created = int(clock.now())
        data = [
            {"id": name, "object": "model", "created": created, "owned_by": name.split("/")[0]}
            for name in self.names()
        ]
        return {"object": "list", "data": data}

    def complete(self, request: dict[str, Any]) -> Completion:
        """Answers an OpenAI chat-completion body. Raises ModelNotServed.

        The answer depends on the request and on what was learnt, on nothing else.
        """
        request = {key: value for key, value in request.items() if value is not None}
        model = str(request.get("model", ""))
        if model == production.MODEL_NAME:
            return _completion(request, self._production.answer(request), _PRODUCTION_LATENCY_MS_PER_TOKEN)
        base, adapter = self._find(model)
        capacity = engine.capacity_of(base)
        message = engine.answer(request, capacity, adapter)
        return _completion(request, message, capacity.simulated_latency_ms_per_token)

    def require(self, model: str) -> None:
        """Raises ModelNotServed unless that model can be asked now."""
        if model != production.MODEL_NAME:
            self._find(model)

    def _find(self, model: str) -> tuple[str, engine.Adapter | None]:
        bases = self._deployments.ready_models()
        if model in bases:
            return model, None
        for record, name in self._listed_adapters():
            if name == model and record.body["base_model"] in bases:
                return record.body["base_model"], self._adapter(record.hidden["adapter_path"])
        raise ModelNotServed(model, self.names())

    def _listed_adapters(self) -> list[tuple[Record, str]]:
        moment = clock.now()
        return [
            (record, f"{record.namespace}/{record.name}")
            for record in self._store.select("model")
            if record.hidden.get("listed_at") is not None and record.hidden["listed_at"] <= moment
        ]

    def _adapter(self, path: str) -> engine.Adapter:
        with self._lock:
            adapter = self._adapters.get(path)
            if adapter is None:
                adapter = engine.Adapter.load(Path(path))
                self._adapters[path] = adapter
            self._adapters.move_to_end(path)
            if len(self._adapters) > _ADAPTERS_IN_MEMORY:
                self._adapters.popitem(last=False)
        return adapter


def _completion(request: dict[str, Any], message: dict[str, Any], ms_per_token: float) -> Completion:
    digest = hashlib.sha256(_json(request)).hexdigest()
    calls = [
        _with_wire_form(call, f"{digest}{index}")
        for index, call in enumerate(message.get("tool_calls") or [])
    ]
    answer: dict[str, Any] = {"role": "assistant", "content": message.get("content") or ""}
    if calls:
        answer["tool_calls"] = calls
    prompt = _tokens([request.get("messages", []), request.get("tools") or []])
    completion = _tokens([answer["content"], [call["function"] for call in calls]])
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    choice = {
        "index": 0,
        "message": answer,
        "logprobs": None,
        "finish_reason": "tool_calls" if calls else "stop",
    }
    response = {
        "id": f"chatcmpl-{digest[:32]}",
        "object": "chat.completion",
        "created": int(clock.now()),
        "model": request["model"],
        "choices": [choice],
        "usage": usage,
    }
    return Completion(response, round(ms_per_token * (completion + prompt / 50), 3))


def _with_wire_form(call: dict[str, Any], key: str) -> dict[str, Any]:
    function = call["function"]
    arguments = function.get("arguments")
    text = arguments if isinstance(arguments, str) else orjson.dumps(arguments or {}).decode()
    call_id = hashlib.sha256(key.encode()).hexdigest()[:32]
    return {
        "id": f"chatcmpl-tool-{call_id}",
        "type": "function",
        "function": {"name": function["name"], "arguments": text},
    }


def _tokens(content: Any) -> int:
    """An estimate: a quarter of the characters of its JSON text."""
    return max(1, len(_json(content)) // _CHARACTERS_PER_TOKEN)


def _json(content: Any) -> bytes:
    try:
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        # Integers beyond 64 bits and lone surrogates, which JSON text may hold.
        return json.dumps(content, sort_keys=True).encode()

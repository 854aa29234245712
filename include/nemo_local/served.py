"""Which models can be asked now, and asking them: the code path of the NIM proxy and of the Evaluator."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from include.nemo_local import clock, engine
from include.nemo_local.answers import Completion, chat_completion, prompt_tokens, text_completion, tokens
from include.nemo_local.catalogue import context_tokens
from include.nemo_local.deployed import DeployedModel, deployed_models, trained_in_full, weights_of
from include.nemo_local.engine import embedding, judging, production
from include.nemo_local.engines import Engine, Fitted
from include.nemo_local.errors import ModelNotServed, RequestRefused
from include.nemo_local.services.deployment import Deployments
from include.nemo_local.store import Record, Store

_ADAPTERS_IN_MEMORY = 16
_CHARACTERS_PER_TOKEN = 4
_PRODUCTION_LATENCY_MS_PER_TOKEN = 24.0

__all__ = ["Completion", "ServedModels", "Truncate"]
Truncate = Literal["NONE", "START", "END"]


class ServedModels:
    """The models of ready deployments, the adapters trained on them, and the production model."""

    def __init__(self, store: Store, deployments: Deployments, models: Engine) -> None:
        self._store = store
        self._engine = models
        self._deployments = deployments
        self._production = production.ProductionAgent()
        self._lock = threading.Lock()
        self._adapters: OrderedDict[str, Fitted] = OrderedDict()

    def names(self) -> list[str]:
        """What ``GET /v1/models`` lists, the production model first."""
        deployed = self._deployed()
        adapters = [name for record, name in self._listed_adapters() if record.body["base_model"] in deployed]
        return [production.MODEL_NAME, *deployed, *adapters]

    def listing(self) -> dict[str, Any]:
        """The OpenAI list of models."""
        created = int(clock.now())
        data = [
            {"id": name, "object": "model", "created": created, "owned_by": name.split("/")[0]}
            for name in self.names()
        ]
        return {"object": "list", "data": data}

    def complete(self, request: dict[str, Any]) -> Completion:
        """Answers an OpenAI chat-completion body. Raises ModelNotServed, RequestRefused.

        The answer depends on the request and on what was learnt, on nothing else.
        """
        request = {key: value for key, value in request.items() if value is not None}
        model = str(request.get("model", ""))
        if model == production.MODEL_NAME:
            message, ms_per_token = self._production.answer(request), _PRODUCTION_LATENCY_MS_PER_TOKEN
        else:
            base, adapter = self._answering(model, "chat")
            capacity = engine.capacity_of(base)
            if not request.get("messages"):
                raise RequestRefused("`messages` is empty: give at least one", param="messages")
            _fitting(base, prompt_tokens(request), request, "messages")
            grade = judging.judged(request) if adapter is None else None
            message = grade or self._message(request, base, adapter)
            ms_per_token = capacity.simulated_latency_ms_per_token
        return chat_completion(request, message, ms_per_token)

    def complete_text(self, request: dict[str, Any]) -> Completion:
        """Answers an OpenAI completion body, whose `prompt` is one text or a list of them.

        Each prompt is taken as what a user said. Raises ModelNotServed, RequestRefused.
        """
        request = {key: value for key, value in request.items() if value is not None}
        given, model = request.get("prompt", ""), str(request.get("model", ""))
        prompts: list[str] = [given] if isinstance(given, str) else given
        asked = [{"model": model, "messages": [{"role": "user", "content": prompt}]} for prompt in prompts]
        if model == production.MODEL_NAME:
            shared = {key: request[key] for key in ("temperature", "seed") if key in request}
            answers = [self._production.answer(shared | one) for one in asked]
            ms_per_token = _PRODUCTION_LATENCY_MS_PER_TOKEN
        else:
            base, adapter = self._answering(model, "text")
            for prompt in prompts:
                _fitting(base, tokens(prompt), request, "prompt")
            answers = [self._message(one, base, adapter) for one in asked]
            ms_per_token = engine.capacity_of(base).simulated_latency_ms_per_token
        return text_completion(request, prompts, [str(one["content"]) for one in answers], ms_per_token)

    def embed(
        self,
        model: str,
        texts: Sequence[str],
        input_type: embedding.InputType,
        *,
        dimensions: int | None = None,
        truncate: Truncate = "END",
    ) -> list[list[float]]:
        """A vector of Euclidean norm 1 for each text, in their order.

        `truncate`: which end of a text that is too long is cut; NONE refuses it. Raises ModelNotServed;
        RequestRefused for a model that embeds nothing, a text that is too long, or a length of vectors that
        the model does not have.
        """
        found = self._deployed().get(model) or DeployedModel(self._find(model)[0])
        if not embedding.is_embedding_model(found.base):
            raise RequestRefused(f"The model `{model}` does not support Embeddings", param="model")
        embedder = embedding.embedder_of(found.base)
        embed = embedding.embed if found.weights_path is None else weights_of(found.weights_path).embed
        cut = [_cut_to(text, embedder.context_tokens, truncate) for text in texts]
        try:
            return [embed(text, embedder, input_type, dimensions).tolist() for text in cut]
        except ValueError as error:
            raise RequestRefused(str(error), param="dimensions") from error

    def require(self, model: str) -> None:
        """Raises ModelNotServed unless that model can be asked now."""
        if model != production.MODEL_NAME:
            self._find(model)

    def _message(self, request: dict[str, Any], base: str, adapter: Fitted | None) -> dict[str, Any]:
        try:
            return self._engine.answer(request, base, adapter)
        except engine.BadAdapter as error:
            told = f"The model `{request['model']}` cannot answer: {error}"
            raise RequestRefused(told, param="model") from error

    def _answering(self, model: str, what: str) -> tuple[str, Fitted | None]:
        """The base of a model, and its adapter.

        Raises ModelNotServed, and RequestRefused for a model that only embeds.
        """
        base, adapter = self._find(model)
        if embedding.is_embedding_model(base):
            raise RequestRefused(
                f"The model `{model}` does not support {what} completions: ask it at /v1/embeddings",
                param="model",
            )
        return base, adapter

    def _find(self, model: str) -> tuple[str, Fitted | None]:
        deployed = self._deployed()
        if model in deployed:
            return deployed[model].base, None
        for record, name in self._listed_adapters():
            if name == model and record.body["base_model"] in deployed:
                return record.body["base_model"], self._adapter(record.hidden["adapter_path"])
        raise ModelNotServed(model, self.names())

    def _deployed(self) -> dict[str, DeployedModel]:
        return deployed_models(self._store, self._deployments.ready_models())

    def _listed_adapters(self) -> list[tuple[Record, str]]:
        moment = clock.now()
        return [
            (record, f"{record.namespace}/{record.name}")
            for record in self._store.select("model")
            if record.hidden.get("listed_at") is not None
            and record.hidden["listed_at"] <= moment
            and not trained_in_full(record)
            # An adapter is of the engine that fitted it, whichever serves now.
            and Path(record.hidden["adapter_path"]).name == self._engine.adapter_file
        ]

    def _adapter(self, path: str) -> Fitted:
        with self._lock:
            adapter = self._adapters.get(path)
            if adapter is None:
                adapter = self._engine.load(Path(path))
                self._adapters[path] = adapter
            self._adapters.move_to_end(path)
            if len(self._adapters) > _ADAPTERS_IN_MEMORY:
                self._adapters.popitem(last=False)
        return adapter


def _fitting(model: str, prompt: int, request: dict[str, Any], param: str) -> None:
    """Raises RequestRefused where prompt and answer are longer than the model's context."""
    most = context_tokens(model)
    wanted = request.get("max_completion_tokens") or request.get("max_tokens") or 0
    if prompt + wanted > most:
        raise RequestRefused(
            f"This model's maximum context length is {most} tokens. However, you requested {prompt + wanted} "
            f"tokens ({prompt} in the {param}, {wanted} in the completion). Shorten the {param} or the "
            "completion.",
            param=param,
        )


def _cut_to(text: str, most_tokens: int, truncate: Truncate) -> str:
    most = most_tokens * _CHARACTERS_PER_TOKEN
    if len(text) <= most:
        return text
    if truncate == "NONE":
        raise RequestRefused(
            f"Input length {tokens(text)} exceeds maximum allowed token size {most_tokens}: shorten it, or "
            'give "truncate": "END"',
            param="input",
        )
    return text[:most] if truncate == "END" else text[-most:]

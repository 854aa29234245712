"""Asking models for an evaluation: served ones in process, those elsewhere by HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Literal, Protocol

import httpx
from pydantic import BaseModel, ConfigDict

from include.nemo_local.errors import NemoLocalError

Ask = Callable[[dict[str, Any]], dict[str, Any]]
"""Takes a chat-completion (or completion) body without its model, gives the assistant's message."""

InputType = Literal["query", "passage"]
Embed = Callable[[list[str], InputType], list[list[float]]]
"""Takes texts, gives their vectors."""

REQUEST_TIMEOUT_SECONDS = 60.0
_WORTH_A_RETRY = frozenset({408, 429, 500, 502, 503, 504})
_RETRY_SECONDS = 0.2


class AnswerError(NemoLocalError):
    """A model elsewhere did not answer as an OpenAI-compatible server does."""


class Api(BaseModel):
    """An OpenAI-compatible endpoint elsewhere."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())

    url: str
    model_id: str
    api_key: str | None = None


class ModelRef(BaseModel):
    """A model given by its endpoint."""

    model_config = ConfigDict(extra="allow")

    api_endpoint: Api


class Served(Protocol):
    """What the NIM proxy serves."""

    def complete(self, request: dict[str, Any]) -> Any: ...

    def complete_text(self, request: dict[str, Any]) -> Any: ...

    def embed(self, model: str, texts: list[str], input_type: InputType) -> list[list[float]]: ...


class Asking:
    """Reaches models for one evaluation; close it when the evaluation has ended.

    ``timeout_seconds`` and ``retries`` hold for a request to an endpoint; served models need neither.
    """

    def __init__(
        self, served: Served, *, timeout_seconds: float = REQUEST_TIMEOUT_SECONDS, retries: int = 0
    ) -> None:
        self._served = served
        self._timeout_seconds, self._retries = timeout_seconds, retries
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None

    def __enter__(self) -> Asking:
        return self

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            self._client.close()

    def model(self, model: str | ModelRef) -> Ask:
        """The way to ask that model. A served model that goes away raises ModelNotServed when asked."""
        if isinstance(model, str):
            return lambda request: self._served_answer(model, request)
        api = model.api_endpoint
        return lambda request: self._endpoint_answer(api, request)

    def embedder(self, model: str | ModelRef) -> Embed:
        """The way to embed texts. A served model that goes away raises ModelNotServed when asked."""
        if not isinstance(model, str):
            api = model.api_endpoint
            return lambda texts, input_type: self._endpoint_vectors(api, texts, input_type)
        return lambda texts, input_type: self._served.embed(model, texts, input_type)

    def _served_answer(self, model: str, request: dict[str, Any]) -> dict[str, Any]:
        request = request | {"model": model}
        if _is_bare(request):
            answer = self._served.complete_text(request).response
            return {"content": answer["choices"][0]["text"]}
        message: dict[str, Any] = self._served.complete(request).message
        return message

    def _endpoint_answer(self, api: Api, request: dict[str, Any]) -> dict[str, Any]:
        address = _address(api.url, "/completions" if _is_bare(request) else "/chat/completions")
        if address.endswith("/chat/completions"):
            request = _as_chat(request)
        answer = self._post(api, address, request | {"model": api.model_id})
        try:
            choice = answer["choices"][0]
            message = {"content": choice["text"]} if "text" in choice else choice["message"]
            return dict(message)
        except (LookupError, TypeError, ValueError):
            raise AnswerError(f"{address}: the answer has no choices[0].message") from None

    def _endpoint_vectors(self, api: Api, texts: list[str], input_type: InputType) -> list[list[float]]:
        address = _address(api.url, "/embeddings")
        body = {"model": api.model_id, "input": texts, "input_type": input_type}
        answer = self._post(api, address, body)
        try:
            return [entry["embedding"] for entry in sorted(answer["data"], key=lambda entry: entry["index"])]
        except (LookupError, TypeError):
            raise AnswerError(f"{address}: the answer has no data[].embedding") from None

    def _post(self, api: Api, address: str, body: dict[str, Any]) -> Any:
        headers = {"Authorization": f"Bearer {api.api_key}"} if api.api_key else {}
        for left in range(self._retries, -1, -1):
            try:
                answer = self._http().post(address, json=body, headers=headers)
            except httpx.TransportError:
                if not left:
                    raise
            else:
                if answer.status_code not in _WORTH_A_RETRY or not left:
                    answer.raise_for_status()
                    return answer.json()
            time.sleep(_RETRY_SECONDS)
        raise AssertionError("unreachable")

    def _http(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                self._client = httpx.Client(timeout=self._timeout_seconds)
            return self._client


def _is_bare(request: dict[str, Any]) -> bool:
    """Is it a completion: a prompt without a conversation around it?"""
    return "prompt" in request and "messages" not in request


def _as_chat(request: dict[str, Any]) -> dict[str, Any]:
    """For an address that takes chats only: a prompt is one message of the user."""
    if not _is_bare(request):
        return request
    rest = {key: value for key, value in request.items() if key != "prompt"}
    return rest | {"messages": [{"role": "user", "content": str(request["prompt"])}]}


def _address(url: str, call: str) -> str:
    """``url`` may be a base (``…/v1``) or name a call already, which then stands."""
    url = url.rstrip("/")
    return url if url.endswith(("/completions", "/embeddings")) else url + call

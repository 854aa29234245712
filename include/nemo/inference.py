"""NIM proxy: the models that can be asked, and asking them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeVar

from pydantic import BaseModel

from include.nemo.call import Call, Stream
from include.nemo.listing import rows
from include.nemo.nim_models import ChatChunk, ChatCompletion, Embeddings, ServedModel, TextCompletion
from include.nemo.urls import Service

ModelT = TypeVar("ModelT", bound=BaseModel)

_CHAT = "/v1/chat/completions"


def list_models() -> Call[list[ServedModel]]:
    """GET /v1/models: a NIM or an adapter is usable once it stands here (OpenAI's list has no pages)."""
    return Call(
        service=Service.NIM_PROXY,
        name="list served models",
        method="GET",
        path="/v1/models",
        parse=lambda body: [ServedModel.model_validate(row) for row in rows(body)],
        safe_to_repeat=True,
    )


def chat(
    *,
    model: str,
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]] | None = None,
    tool_choice: str | Mapping[str, Any] | None = None,
    timeout_seconds: float = 120.0,
    **options: Any,
) -> Call[ChatCompletion]:
    """POST /v1/chat/completions, not streamed. `options` go into the body: `temperature, max_tokens, seed`.

    Safe to repeat: a completion changes nothing at the server.
    """
    body = _chat_body(model, messages, tools, tool_choice) | options
    return _ask(ChatCompletion, f"ask {model}", _CHAT, body, timeout_seconds)


def chat_stream(
    *,
    model: str,
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]] | None = None,
    tool_choice: str | Mapping[str, Any] | None = None,
    timeout_seconds: float = 120.0,
    **options: Any,
) -> Stream[ChatChunk]:
    """POST /v1/chat/completions, streamed: `events.message_of` puts the chunks together. See `chat`."""
    body = _chat_body(model, messages, tools, tool_choice) | options | {"stream": True}
    return Stream(
        service=Service.NIM_PROXY,
        name=f"ask {model}, streamed",
        path=_CHAT,
        parse=ChatChunk.model_validate,
        json=body,
        timeout_seconds=timeout_seconds,
    )


def complete(
    *, model: str, prompt: str, timeout_seconds: float = 120.0, **options: Any
) -> Call[TextCompletion]:
    """POST /v1/completions, not streamed. `options` go into the body, as in `chat`. Safe to repeat."""
    body = {"model": model, "prompt": prompt, **options}
    return _ask(TextCompletion, f"complete with {model}", "/v1/completions", body, timeout_seconds)


def embed(
    *,
    model: str,
    texts: Sequence[str],
    input_type: Literal["query", "passage"],
    timeout_seconds: float = 120.0,
    **options: Any,
) -> Call[list[list[float]]]:
    """POST /v1/embeddings: one vector for each text, in their order. Safe to repeat."""
    body = {"model": model, "input": list(texts), "input_type": input_type, **options}
    call = _ask(Embeddings, f"embed with {model}", "/v1/embeddings", body, timeout_seconds)

    def parse(answer: Any) -> list[list[float]]:
        vectors = sorted(call.parse(answer).data, key=lambda one: one.index)
        if [one.index for one in vectors] != list(range(len(texts))):
            raise ValueError(f"{len(texts)} texts were sent and {len(vectors)} vectors came back")
        return [one.embedding for one in vectors]

    return replace(call, parse=parse)  # type: ignore[arg-type, return-value]


def _chat_body(
    model: str,
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]] | None,
    tool_choice: str | Mapping[str, Any] | None,
) -> dict[str, Any]:
    """A tool choice without tools is refused by the services, so it goes with them."""
    body: dict[str, Any] = {"model": model, "messages": list(messages)}
    if tools:
        body["tools"] = list(tools)
        if tool_choice is not None:
            body["tool_choice"] = tool_choice
    return body


def _ask(
    model: type[ModelT], name: str, where: str, body: Mapping[str, Any], timeout_seconds: float
) -> Call[ModelT]:
    return Call(
        service=Service.NIM_PROXY,
        name=name,
        method="POST",
        path=where,
        json=body,
        parse=model.model_validate,
        safe_to_repeat=True,
        timeout_seconds=timeout_seconds,
    )

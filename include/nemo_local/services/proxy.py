"""The NIM proxy under ``/nim``: the served models and chat completions in the shapes of OpenAI."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict

from include.nemo_local.served import Completion, ServedModels

LATENCY_HEADER = "x-nemo-local-simulated-latency-ms"


class ChatIn(BaseModel):
    """A chat-completion body; what is not named here is passed on as it is."""

    model_config = ConfigDict(extra="allow")

    model: str
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    temperature: float | None = None
    seed: int | None = None
    stream: bool = False


def router(served: ServedModels) -> APIRouter:
    """``GET /v1/models`` and ``POST /v1/chat/completions``."""
    routes = APIRouter(prefix="/nim/v1")

    @routes.get("/models")
    def models() -> dict[str, Any]:
        return served.listing()

    @routes.post("/chat/completions")
    def chat(body: ChatIn) -> Response:
        completion = served.complete(body.model_dump(exclude_unset=True, exclude={"stream"}))
        headers = {LATENCY_HEADER: str(completion.simulated_latency_ms)}
        if body.stream:
            return StreamingResponse(_events(completion), media_type="text/event-stream", headers=headers)
        return JSONResponse(completion.response, headers=headers)

    return routes


def _events(completion: Completion) -> Iterator[bytes]:
    """The answer as one chunk, its end, and the end of the stream."""
    response = completion.response
    shared = {key: response[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    calls = [{"index": index, **call} for index, call in enumerate(completion.message.get("tool_calls", []))]
    delta = {key: completion.message[key] for key in ("role", "content")}
    if calls:
        delta["tool_calls"] = calls
    reason = response["choices"][0]["finish_reason"]
    first = shared | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    last = shared | {
        "choices": [{"index": 0, "delta": {}, "finish_reason": reason}],
        "usage": response["usage"],
    }
    for chunk in (first, last):
        yield b"data: " + orjson.dumps(chunk) + b"\n\n"
    yield b"data: [DONE]\n\n"

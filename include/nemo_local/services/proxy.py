"""The NIM proxy under ``/nim``: served models, completions and embeddings in the shapes of OpenAI."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from include.nemo_local.answers import Completion, tokens, usage_of
from include.nemo_local.served import ServedModels, Truncate
from include.nemo_local.services.streams import chat_events, text_events

LATENCY_HEADER = "x-nemo-local-simulated-latency-ms"
_MOST_INPUTS = 8192
Events = Callable[[dict[str, Any], bool], Iterator[bytes]]
Text = Annotated[str, Field(min_length=1)]


class StreamOptions(BaseModel):
    """What a stream tells beside the answer."""

    model_config = ConfigDict(extra="allow")

    include_usage: bool = False


class GenerationIn(BaseModel):
    """What bodies of chats and completions share; what is not named here is passed on as it is."""

    model_config = ConfigDict(extra="allow")

    model: str
    temperature: float | None = Field(default=None, ge=0, le=2)
    seed: int | None = None
    n: Literal[1] | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    def asked(self) -> dict[str, Any]:
        """What the answer may depend on."""
        return self.model_dump(exclude_unset=True, exclude={"stream", "stream_options"})


class ChatIn(GenerationIn):
    """A chat-completion body."""

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    max_completion_tokens: int | None = Field(default=None, ge=1)


class CompletionIn(GenerationIn):
    """A completion body; prompts are texts, since these models have no token ids."""

    prompt: str | Annotated[list[str], Field(min_length=1)]


class EmbeddingsIn(BaseModel):
    """An embeddings body. The models tell queries from passages, so `input_type` is required."""

    model_config = ConfigDict(extra="allow")

    model: str
    input: Text | Annotated[list[Text], Field(min_length=1, max_length=_MOST_INPUTS)]
    input_type: Literal["query", "passage"]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = Field(default=None, ge=1)
    truncate: Truncate | None = None


def router(served: ServedModels) -> APIRouter:
    """``GET models`` and ``POST chat/completions, completions, embeddings`` under ``/nim/v1``."""
    routes = APIRouter(prefix="/nim/v1")

    @routes.get("/models")
    def models() -> dict[str, Any]:
        return served.listing()

    @routes.post("/chat/completions")
    def chat(body: ChatIn) -> Response:
        return _answer(body, served.complete(body.asked()), chat_events)

    @routes.post("/completions")
    def complete(body: CompletionIn) -> Response:
        return _answer(body, served.complete_text(body.asked()), text_events)

    @routes.post("/embeddings")
    def embeddings(body: EmbeddingsIn) -> dict[str, Any]:
        return _embedded(served, body)

    return routes


def _answer(body: GenerationIn, completion: Completion, events: Events) -> Response:
    headers = {LATENCY_HEADER: str(completion.simulated_latency_ms)}
    if body.stream:
        with_usage = body.stream_options is not None and body.stream_options.include_usage
        chunks = events(completion.response, with_usage)
        return StreamingResponse(chunks, media_type="text/event-stream", headers=headers)
    return JSONResponse(completion.response, headers=headers)


def _embedded(served: ServedModels, body: EmbeddingsIn) -> dict[str, Any]:
    texts = [body.input] if isinstance(body.input, str) else body.input
    vectors = served.embed(
        body.model, texts, body.input_type, dimensions=body.dimensions, truncate=body.truncate or "NONE"
    )
    shown: list[list[float]] | list[str] = vectors
    if body.encoding_format == "base64":
        shown = [_base64(vector) for vector in vectors]
    read = sum(tokens(text) for text in texts)
    return {
        "object": "list",
        "model": body.model,
        "data": [
            {"index": index, "embedding": vector, "object": "embedding"} for index, vector in enumerate(shown)
        ],
        "usage": usage_of(read, 0),
    }


def _base64(vector: list[float]) -> str:
    """32-bit floats, little-endian, as OpenAI's clients ask for and read them."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()

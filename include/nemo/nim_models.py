"""What NIMs answer, in the shapes of OpenAI's API. Unknown fields are ignored."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from include.nemo.models import OrEmpty, OrNothing, Wire


class ServedModel(Wire):
    """A model that the NIM proxy lists, so that it can be asked."""

    id: str
    owned_by: str | None = None


class FunctionCall(Wire):
    """`arguments` is a JSON string, as OpenAI wants it."""

    name: str
    arguments: str | dict[str, Any] | None = None


class ToolCall(Wire):
    """A call that the model wants made."""

    id: str | None = None
    type: str | None = None
    function: FunctionCall


class ChatMessage(Wire):
    """The assistant's answer."""

    role: str | None = None
    content: str | None = None
    tool_calls: Annotated[list[ToolCall], OrNothing] = Field(default_factory=list)


class ChatChoice(Wire):
    """One answer and why it ended."""

    index: int | None = None
    message: ChatMessage
    finish_reason: str | None = None


class Usage(Wire):
    """Tokens counted by the NIM."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None


class ChatCompletion(Wire):
    """The answer to a chat completion; at least one choice."""

    id: str | None = None
    model: str | None = None
    choices: Annotated[list[ChatChoice], Field(min_length=1)]
    usage: Usage | None = None


class FunctionDelta(Wire):
    """A piece of a call: the name comes first, then the arguments' JSON text bit by bit."""

    name: str | None = None
    arguments: str | None = None


class ToolCallDelta(Wire):
    """A piece of the call that stands at `index` (from 0)."""

    index: int = 0
    id: str | None = None
    function: Annotated[FunctionDelta, OrEmpty] = Field(default_factory=FunctionDelta)


class Delta(Wire):
    """What a chunk adds to the message."""

    role: str | None = None
    content: str | None = None
    tool_calls: Annotated[list[ToolCallDelta], OrNothing] = Field(default_factory=list)


class ChunkChoice(Wire):
    """A piece of one answer; `finish_reason` comes with the last."""

    index: int | None = None
    delta: Annotated[Delta, OrEmpty] = Field(default_factory=Delta)
    finish_reason: str | None = None


class ChatChunk(Wire):
    """A piece of a streamed chat completion; without choices where it has the usage."""

    id: str | None = None
    model: str | None = None
    choices: Annotated[list[ChunkChoice], OrNothing] = Field(default_factory=list)
    usage: Usage | None = None


class TextChoice(Wire):
    """One continuation of a prompt and why it ended."""

    index: int | None = None
    text: str
    finish_reason: str | None = None


class TextCompletion(Wire):
    """The answer to a completion; at least one choice."""

    id: str | None = None
    model: str | None = None
    choices: Annotated[list[TextChoice], Field(min_length=1)]
    usage: Usage | None = None


class Embedding(Wire):
    """The vector of the text that stood at `index` (from 0)."""

    index: int
    embedding: list[float]


class Embeddings(Wire):
    """The answer to an embedding call, in any order."""

    data: list[Embedding]
    usage: Usage | None = None

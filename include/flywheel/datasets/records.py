"""A valid record: one model call, reduced to what datasets need."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from include.flywheel.datasets.arguments import Message
from include.flywheel.datasets.digests import request_digest

NO_TOOL = "no tool"


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call of an answer. `arguments` is an object, or as logged where arguments are not parsed."""

    name: str
    arguments: Any
    id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One model call.

    :param messages: of the request, as they were logged, without empty `tool_calls`.
    :param content: text of the answer, "" when there is none.
    :param calls: tool calls of the answer, in their order.
    """

    timestamp_ms: int
    session_id: str | None
    messages: list[Message]
    tools: list[dict[str, Any]]
    tool_choice: Any
    content: str
    calls: Sequence[Call]
    response_id: str | None

    @property
    def label(self) -> str:
        """The first tool called, or `no tool`."""
        return self.calls[0].name if self.calls else NO_TOOL

    @property
    def digest(self) -> bytes:
        """16 bytes that stand for the whole request, messages and tools."""
        return request_digest(self.messages, self.tools)

    @property
    def conversation_id(self) -> str:
        """The session, or a name of its own for a record without one."""
        return self.session_id or f"single-{item_id(self.digest)}"


def read_record(row: bytes, side: bytes) -> Record:
    """The record whose training row is `row`; `side` is what that row does not tell (see `side_of`)."""
    training = orjson.loads(row)
    *messages, answer = training["messages"]
    timestamp_ms, session_id, response_id, ids, tool_choice, texts = orjson.loads(side)
    return Record(
        timestamp_ms=timestamp_ms,
        session_id=session_id,
        messages=_as_logged(messages, iter(texts)),
        tools=training.get("tools", []),
        tool_choice=tool_choice or "auto",
        content=answer["content"],
        calls=[
            Call(call["function"]["name"], call["function"]["arguments"], call_id)
            for call, call_id in zip(answer.get("tool_calls", ()), ids, strict=True)
        ],
        response_id=response_id,
    )


def side_of(
    *,
    timestamp_ms: int,
    session_id: str | None,
    response_id: str | None,
    call_ids: Sequence[str | None],
    tool_choice: bytes,
    texts: bytes,
) -> bytes:
    """What a training row does not tell of its record, as a JSON array.

    :param tool_choice: JSON, or b"".
    :param texts: JSON strings, joined by commas: arguments of the request's tool calls as they were logged.
    """
    known = orjson.dumps((timestamp_ms, session_id, response_id, call_ids))
    return b"%b,%b,[%b]]" % (known[:-1], tool_choice or b"null", texts)


def _as_logged(messages: list[Message], texts: Iterator[str]) -> list[Message]:
    """The messages with the arguments of their tool calls as JSON strings, as they were logged."""
    for message in messages:
        for call in message.get("tool_calls", ()):
            call["function"]["arguments"] = next(texts)
    return messages


def item_id(digest: bytes) -> str:
    """The name of a holdout item: the first 16 hexadecimal characters of its request's digest."""
    return digest[:8].hex()


def conversation_key(conversation_id: str) -> int:
    """64 bits that stand for a conversation."""
    name = conversation_id.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big")

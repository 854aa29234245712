"""A valid record: one model call, reduced to what datasets need."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
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
        """What the split is stratified by: the first tool called, or `no tool`."""
        return self.calls[0].name if self.calls else NO_TOOL

    @property
    def digest(self) -> bytes:
        """16 bytes that stand for the whole request, messages and tools."""
        return request_digest(self.messages, self.tools)

    @property
    def conversation_id(self) -> str:
        """The session, or a name of its own for a record without one."""
        return self.session_id or f"single-{item_id(self.digest)}"

    def to_bytes(self) -> bytes:
        """The record as one JSON document, for the spool."""
        return orjson.dumps(self)

    @classmethod
    def from_bytes(cls, content: bytes) -> Record:
        """The record that `to_bytes` wrote."""
        fields = orjson.loads(content)
        return cls(**{**fields, "calls": [Call(**call) for call in fields["calls"]]})


def item_id(digest: bytes) -> str:
    """The name of a holdout item: the first 16 hexadecimal characters of its request's digest."""
    return digest[:8].hex()


def conversation_key(conversation_id: str) -> bytes:
    """16 bytes that stand for a conversation."""
    return hashlib.blake2b(conversation_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()

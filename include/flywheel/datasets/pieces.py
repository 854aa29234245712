"""Parts of requests that occur again and again: messages of a growing conversation, system texts, tools.

Each is checked, brought into the form of the training file and digested once; the next time it is recognised
by its bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

import orjson

from include.flywheel.datasets.arguments import as_text, parse
from include.flywheel.datasets.digests import canonical_digest, tools_digest
from include.flywheel.datasets.reasons import Invalid, Reason

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})

INSTRUCTIONS = frozenset({"system", "developer"})
ROW_BEGIN = b'{"messages":['

CACHED_BYTES = 24 * 1024 * 1024
"""Bytes of parts that are remembered; then all are forgotten and learnt anew."""

_OVERHEAD_BYTES = 600

P = TypeVar("P")


class Piece(NamedTuple):
    """A message.

    :param row: as it stands in a training row.
    :param digest: 16 bytes, the same for every way to write the message.
    :param texts: JSON strings, joined by commas: its tool calls' arguments as they were logged.
    :param opening: for an instruction to the model: the beginning of a training row that opens with it.
    """

    row: bytes
    digest: bytes
    texts: bytes = b""
    opening: bytes = b""


class ToolSet(NamedTuple):
    """The tools of a request.

    :param suffix: what follows the messages in a training row.
    :param digest: 16 bytes, or b"" for no tools.
    """

    suffix: bytes
    digest: bytes
    names: frozenset[str]


NO_TOOLS = ToolSet(b"]}", b"", frozenset())


class Known(Generic[P]):
    """Pieces by their bytes; forgets all when they became too many."""

    def __init__(self, make: Callable[[bytes], P]) -> None:
        self._make = make
        self._held_bytes = 0
        self.known: dict[bytes, P] = {}

    def learn(self, raw: bytes) -> P:
        """The piece of bytes that are not in `known`. Raises Invalid; what is invalid is not remembered."""
        try:
            piece = self._make(raw)
        except orjson.JSONEncodeError:
            raise Invalid(Reason.TOO_DEEP) from None
        self._held_bytes += 2 * len(raw) + _OVERHEAD_BYTES
        if self._held_bytes > CACHED_BYTES:
            self.known.clear()
            self._held_bytes = 0
        self.known[raw] = piece
        return piece


def known_messages(*, parse_arguments: bool) -> Known[Piece]:
    """A store of messages.

    :param parse_arguments: arguments of tool calls must be JSON objects, and become objects in the row; false
        leaves them as they were logged.
    """
    return Known(lambda raw: _piece(raw, parse_arguments=parse_arguments))


def known_tools() -> Known[ToolSet]:
    """A store of tool sets."""
    return Known(_tool_set)


def _piece(raw: bytes, *, parse_arguments: bool) -> Piece:
    message = _loaded(raw)
    if not isinstance(message, dict):
        raise Invalid(Reason.BAD_MESSAGE)
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or role not in ROLES or not isinstance(content, str | list | None):
        raise Invalid(Reason.BAD_MESSAGE)
    calls = message.get("tool_calls")
    if content is None and role != "assistant" and not calls:
        raise Invalid(Reason.BAD_MESSAGE)
    if "tool_calls" not in message and role != "assistant":
        opening = ROW_BEGIN + raw if role in INSTRUCTIONS else b""
        return Piece(raw, canonical_digest(message), opening=opening)
    if role == "assistant" and content is None:
        message["content"] = ""
    if calls:
        return _calling(message, calls, parse_arguments=parse_arguments)
    message.pop("tool_calls", None)
    return Piece(orjson.dumps(message), canonical_digest(message))


def _calling(message: dict[str, Any], calls: Any, *, parse_arguments: bool) -> Piece:
    if not isinstance(calls, list):
        raise Invalid(Reason.BAD_CALL)
    texts = []
    logged = orjson.dumps(message) if not parse_arguments else b""
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not is_name(function.get("name")):
            raise Invalid(Reason.BAD_CALL)
        arguments = function.get("arguments")
        texts.append(orjson.dumps(as_text(arguments)))
        parsed = parse(arguments)
        if parsed is not None:
            function["arguments"] = parsed
        elif parse_arguments:
            raise Invalid(Reason.BAD_ARGUMENTS)
    return Piece(logged or orjson.dumps(message), canonical_digest(message), b",".join(texts))


def _tool_set(raw: bytes) -> ToolSet:
    tools = _loaded(raw) if raw else None
    if tools is None:
        return NO_TOOLS
    if not isinstance(tools, list):
        raise Invalid(Reason.BAD_TOOLS)
    for tool in tools:
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not is_name(function.get("name")):
            raise Invalid(Reason.BAD_TOOLS)
    if not tools:
        return NO_TOOLS
    names = frozenset(tool["function"]["name"] for tool in tools)
    return ToolSet(b'],"tools":' + raw + b"}", tools_digest(tools), names)


def is_name(value: Any) -> bool:
    """Whether a value can be the name of a tool."""
    return isinstance(value, str) and bool(value)


def _loaded(raw: bytes) -> Any:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise Invalid(Reason.NOT_JSON) from None

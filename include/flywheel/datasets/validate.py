"""Raw lines become samples, or a reason why not. Nothing is repaired and nothing vanishes."""

from __future__ import annotations

from operator import itemgetter
from typing import Any, NamedTuple, cast

import msgspec
import orjson

from include.flywheel.datasets.arguments import parse
from include.flywheel.datasets.digests import combined_digest
from include.flywheel.datasets.envelope import (
    NOTHING,
    Answer,
    CallPart,
    Envelope,
    decoder,
    is_said,
    look_closely,
)
from include.flywheel.datasets.kinds import Form, form_of
from include.flywheel.datasets.pieces import (
    NO_TOOLS,
    ROW_BEGIN,
    Piece,
    ToolSet,
    is_name,
    known_messages,
    known_tools,
)
from include.flywheel.datasets.reasons import Invalid, Reason
from include.flywheel.datasets.records import side_of
from include.flywheel.logs.timestamps import to_milliseconds

_ROW, _DIGEST, _TEXTS = itemgetter(0), itemgetter(1), itemgetter(2)
NO_STRATUM = "(none)"


class Sample(NamedTuple):
    """One valid record, ready for the spool and the table.

    :param head, middle, tail: together its training row, one JSON object without a newline; head and tail are
        what many records share.
    :param side: what the row does not tell.
    :param tool: the first tool called, or None.
    :param content: the text of the answer.
    :param stratum: value of the field that the split is stratified by.
    :param prefixes: for a record without session: a hash of each beginning of its messages, the last of all.
    """

    timestamp_ms: int
    session_id: str | None
    digest: bytes
    head: bytes
    middle: bytes
    tail: bytes
    side: bytes
    form: Form
    tool: str | None
    content: str
    stratum: str
    prefixes: list[int]


class Validator:
    """Validates the lines of one reading; remembers the parts that occur again.

    :param parse_arguments: false keeps tool-call arguments as they were logged, parseable or not.
    :param stratum_field: the top-level field whose value becomes `Sample.stratum`.
    """

    def __init__(self, *, parse_arguments: bool = True, stratum_field: str | None = None) -> None:
        self._parse_arguments = parse_arguments
        self._stratum_field = stratum_field
        self._decode = decoder(stratum_field)
        self._messages = known_messages(parse_arguments=parse_arguments)
        self._tools = known_tools()
        self._last_tools: tuple[bytes, ToolSet] = (b"", NO_TOOLS)

    def __call__(self, line: bytes) -> Sample | Reason:
        """The sample in `line`, or the first reason why it cannot be used."""
        try:
            if not line.isascii():
                # What is only passed over would else be taken for text whatever its bytes.
                line.decode()
            try:
                return self._sample(self._decode(line))
            except (msgspec.MsgspecError, RecursionError):
                return self._sample(look_closely(line, self._stratum_field))
        except Invalid as invalid:
            return invalid.reason
        except (orjson.JSONDecodeError, UnicodeDecodeError):
            # A line may be torn inside a character too.
            return Reason.NOT_JSON if line.endswith(b"\n") else Reason.TORN
        except orjson.JSONEncodeError:
            return Reason.TOO_DEEP

    def _sample(self, envelope: Envelope) -> Sample:
        timestamp_ms = to_milliseconds(envelope.timestamp)
        if timestamp_ms is None:
            raise Invalid(Reason.NO_TIMESTAMP)
        request, response = envelope.request, envelope.response
        if _is_failed(envelope):
            raise Invalid(Reason.FAILED_CALL)
        pieces = self._pieces(request.messages)
        tools = self._tool_set(bytes(request.tools))
        if not response.choices:
            raise Invalid(Reason.NO_CHOICES)
        answer = response.choices[0].message
        calls = answer.tool_calls or ()
        content = answer.content or ""
        written = self._answer(answer, content, calls, tools)
        head = pieces[0].opening
        session = envelope.session_id
        session_id = str(session) if session is not None and session != "" else None
        return Sample(
            timestamp_ms,
            session_id,
            combined_digest(map(_DIGEST, pieces), tools.digest),
            head,
            _middle(pieces, written, has_head=bool(head)),
            tools.suffix,
            side_of(
                timestamp_ms=timestamp_ms,
                session_id=session_id,
                response_id=response.id,
                call_ids=[call.id for call in calls],
                tool_choice=bytes(request.tool_choice),
                texts=b",".join(filter(None, map(_TEXTS, pieces))),
            ),
            form_of(content, calls=bool(calls), tools=bool(tools.names)),
            calls[0].function.name if calls else None,
            content,
            _stratum(envelope.stratum) if self._stratum_field else NO_STRATUM,
            _prefixes(pieces) if session_id is None else [],
        )

    def _pieces(self, messages: list[msgspec.Raw]) -> list[Piece]:
        if not messages:
            raise Invalid(Reason.NO_MESSAGES)
        raws = list(map(bytes, messages))
        found = list(map(self._messages.known.get, raws))
        if None not in found:
            return cast("list[Piece]", found)
        learn = self._messages.learn
        return [piece or learn(raw) for piece, raw in zip(found, raws, strict=True)]

    def _tool_set(self, raw: bytes) -> ToolSet:
        last, tools = self._last_tools
        if raw != last:
            tools = self._tools.known.get(raw) or self._tools.learn(raw)
            self._last_tools = (raw, tools)
        return tools

    def _answer(
        self, answer: Answer, content: str, calls: list[CallPart] | tuple[()], tools: ToolSet
    ) -> bytes:
        if answer.role not in ("assistant", None):
            raise Invalid(Reason.BAD_ANSWER)
        if not calls:
            if not content.strip():
                raise Invalid(Reason.EMPTY_ANSWER)
            return orjson.dumps({"role": "assistant", "content": content})
        written = []
        for number, call in enumerate(calls):
            name = call.function.name
            if not is_name(name):
                raise Invalid(Reason.BAD_CALL)
            arguments = self._arguments(bytes(call.function.arguments))
            function = {"name": name, "arguments": arguments}
            written.append({"id": call.id or f"call_{number}", "type": "function", "function": function})
        if not all(call.function.name in tools.names for call in calls):
            raise Invalid(Reason.UNKNOWN_TOOL)
        return orjson.dumps({"role": "assistant", "content": content, "tool_calls": written})

    def _arguments(self, raw: bytes) -> Any:
        logged = orjson.loads(raw) if raw else None
        if not self._parse_arguments:
            return logged
        arguments = parse(logged)
        if arguments is None:
            raise Invalid(Reason.BAD_ARGUMENTS)
        return arguments


def _is_failed(envelope: Envelope) -> bool:
    errors = (envelope.error, envelope.response.error)
    return any(error is not NOTHING and is_said(error) for error in errors)


def _middle(pieces: list[Piece], answer: bytes, *, has_head: bool) -> bytes:
    """The messages of a training row after its head, which takes the place of the first message."""
    rows = list(map(_ROW, pieces))
    rows[0] = b"" if has_head else ROW_BEGIN + rows[0]
    rows.append(answer)
    return b",".join(rows)


def _stratum(raw: msgspec.Raw) -> str:
    value = orjson.loads(bytes(raw) or b"null")
    if isinstance(value, str):
        return value.strip() or NO_STRATUM
    return str(value) if isinstance(value, int | float) else NO_STRATUM


def _prefixes(pieces: list[Piece]) -> list[int]:
    """Hashes of the beginnings of a request's messages; they hold within one process."""
    hashes, before = [], 0
    for piece in pieces:
        before = hash((before, piece.digest))
        hashes.append(before)
    return hashes

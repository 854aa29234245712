"""A raw line taken apart: what is looked at is decoded, what is only passed on stays bytes.

Nearly every line fits the types below and is decoded in one go. A line that does not is decoded as plain JSON
and looked at field by field, to name the reason, or to accept what is merely unusual.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import orjson
from msgspec import Raw, Struct

from include.flywheel.datasets.reasons import Invalid, Reason
from include.flywheel.errors import ConfigError

NOTHING = Raw(b"")
_FALSE = (b"", b"null", b"false", b'""', b"{}", b"[]", b"0")
RESERVED = frozenset({"timestamp", "session_id", "request", "response", "error"})


class Function(Struct, gc=False):
    """Name and arguments of a call; the arguments are JSON, often of a string that holds JSON."""

    name: str
    arguments: Raw = NOTHING


class CallPart(Struct, gc=False):
    """One tool call of an answer."""

    function: Function
    id: str | None = None


class Answer(Struct, gc=False):
    """The assistant's message."""

    role: str | None = None
    content: str | None = None
    tool_calls: list[CallPart] | None = None


class Choice(Struct, gc=False):
    """One choice of a response."""

    message: Answer


class Response(Struct, gc=False):
    """What the model answered."""

    choices: list[Choice]
    id: str | None = None
    error: Raw = NOTHING


class Request(Struct, gc=False):
    """What the model was asked; each message as it stands in the line."""

    messages: list[Raw]
    tools: Raw = NOTHING
    tool_choice: Raw = NOTHING


class Envelope(Struct, gc=False):
    """One log record. `stratum` is the field that the split is stratified by, if it is one of these."""

    timestamp: int | float
    request: Request
    response: Response
    session_id: str | int | None = None
    error: Raw = NOTHING
    stratum: Raw = NOTHING


def decoder(stratum_field: str | None) -> Callable[[bytes], Envelope]:
    """Decodes lines whose `stratum` is the top-level field of that name.

    The result raises msgspec.MsgspecError for a line that does not fit. Raises ConfigError for a field that
    has a meaning of its own.
    """
    if stratum_field in RESERVED:
        raise ConfigError(
            f"`stratify_by` = {stratum_field!r} is a field with a meaning of its own; "
            "name another top-level field of the log records, or `tool`, `label` or `intent`"
        )
    if stratum_field is None:
        return msgspec.json.Decoder(Envelope).decode
    try:
        stratified = msgspec.defstruct(
            "StratifiedEnvelope",
            [("stratum", Raw, NOTHING)],
            bases=(Envelope,),
            rename={"stratum": stratum_field},
            gc=False,
        )
    except ValueError as error:
        raise ConfigError(f"`stratify_by` = {stratum_field!r} cannot be a field's name: {error}") from None
    decode: Callable[[bytes], Any] = msgspec.json.Decoder(stratified).decode
    return decode


def is_said(value: Raw) -> bool:
    """Whether a field says anything: it is there and neither null nor empty."""
    return bytes(value) not in _FALSE


def look_closely(line: bytes, stratum_field: str | None) -> Envelope:
    """The envelope of a line that does not fit the types. Raises Invalid with the reason."""
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise Invalid(Reason.NOT_JSON if line.endswith(b"\n") else Reason.TORN) from None
    if not isinstance(document, dict):
        raise Invalid(Reason.NOT_OBJECT)
    timestamp = document.get("timestamp")
    if isinstance(timestamp, bool) or not isinstance(timestamp, int | float):
        raise Invalid(Reason.NO_TIMESTAMP)
    if document.get("error"):
        raise Invalid(Reason.FAILED_CALL)
    return Envelope(
        timestamp=timestamp,
        request=_request(document.get("request")),
        response=_response(document.get("response")),
        session_id=_session(document.get("session_id"), line),
        stratum=_raw(document.get(stratum_field)) if stratum_field else NOTHING,
    )


class _Session(Struct):
    session_id: Any


def _session(value: Any, line: bytes) -> str | int | None:
    if isinstance(value, float):
        # An integer beyond 64 bits, which only the other decoder keeps exactly.
        value = msgspec.json.decode(line, type=_Session).session_id
    return value if isinstance(value, str | int) and not isinstance(value, bool) else None


def _request(request: Any) -> Request:
    if request is None or request == {}:
        raise Invalid(Reason.NO_REQUEST)
    if not isinstance(request, dict):
        raise Invalid(Reason.BAD_REQUEST)
    messages = request.get("messages")
    if messages is None and request.get("input") is not None:
        raise Invalid(Reason.EMBEDDING)
    if messages is None or messages == []:
        raise Invalid(Reason.NO_MESSAGES)
    if not isinstance(messages, list):
        raise Invalid(Reason.BAD_REQUEST)
    return Request(
        messages=[_raw(message) for message in messages],
        tools=_raw(request.get("tools")),
        tool_choice=_raw(request.get("tool_choice")),
    )


def _response(response: Any) -> Response:
    if response is None or response == {}:
        raise Invalid(Reason.NO_RESPONSE)
    if not isinstance(response, dict):
        raise Invalid(Reason.BAD_RESPONSE)
    if response.get("error"):
        raise Invalid(Reason.FAILED_CALL)
    choices = response.get("choices")
    if not choices:
        raise Invalid(Reason.NO_CHOICES)
    if not isinstance(choices, list):
        raise Invalid(Reason.BAD_RESPONSE)
    message = choices[0].get("message") if isinstance(choices[0], dict) else None
    if not isinstance(message, dict):
        raise Invalid(Reason.BAD_ANSWER)
    response_id = response.get("id")
    return Response(
        choices=[Choice(_answer(message))], id=response_id if isinstance(response_id, str) else None
    )


def _answer(message: dict[str, Any]) -> Answer:
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str | None) or not isinstance(content, str | None):
        raise Invalid(Reason.BAD_ANSWER)
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise Invalid(Reason.BAD_CALL)
    return Answer(role=role, content=content, tool_calls=[_call(call) for call in calls])


def _call(call: Any) -> CallPart:
    function = call.get("function") if isinstance(call, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(function, dict) or not isinstance(name, str):
        raise Invalid(Reason.BAD_CALL)
    arguments = _raw(function["arguments"]) if "arguments" in function else NOTHING
    return CallPart(Function(name, arguments), call["id"] if isinstance(call.get("id"), str) else None)


def _raw(value: Any) -> Raw:
    return NOTHING if value is None else Raw(orjson.dumps(value))

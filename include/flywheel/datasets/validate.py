"""Raw records become records, or a reason why not. Nothing is repaired and nothing vanishes."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from include.flywheel.datasets.arguments import Message, parse
from include.flywheel.datasets.records import Call, Record
from include.flywheel.logs.store import RawRecord, Undecodable
from include.flywheel.logs.timestamps import to_milliseconds

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


class Reason(StrEnum):
    """Why a raw record cannot be used."""

    NOT_JSON = Undecodable.NOT_JSON.value
    NOT_OBJECT = Undecodable.NOT_OBJECT.value
    TORN = Undecodable.TORN.value
    NO_TIMESTAMP = "timestamp missing or no Unix time"
    FAILED_CALL = "the call failed (`error`)"
    NO_REQUEST = "request missing"
    BAD_REQUEST = "request malformed"
    EMBEDDING = "embedding request (`input` instead of messages)"
    NO_MESSAGES = "request without messages"
    BAD_MESSAGE = "message malformed"
    BAD_TOOLS = "tools malformed"
    NO_RESPONSE = "response missing"
    BAD_RESPONSE = "response malformed"
    NO_CHOICES = "response without choices"
    BAD_ANSWER = "answer malformed"
    EMPTY_ANSWER = "answer without text and tool calls"
    BAD_CALL = "tool call malformed"
    BAD_ARGUMENTS = "tool-call arguments are no JSON object"
    UNKNOWN_TOOL = "calls a tool that was not offered"
    NO_TOOLS = "offers no tools (not tool calling)"


class _Invalid(Exception):
    def __init__(self, reason: Reason) -> None:
        self.reason = reason


def validate(raw: RawRecord, *, parse_arguments: bool = True) -> Record | Reason:
    """The record in `raw`, or the first reason why it cannot be used.

    :param parse_arguments: false keeps tool-call arguments as they were logged, parseable or not.
    """
    if raw.document is None:
        return Reason(raw.reason or Undecodable.NOT_JSON)
    try:
        return _record(raw.document, parse_arguments)
    except _Invalid as invalid:
        return invalid.reason


def _record(document: dict[str, Any], parse_arguments: bool) -> Record:
    timestamp_ms = to_milliseconds(document.get("timestamp"))
    if timestamp_ms is None:
        raise _Invalid(Reason.NO_TIMESTAMP)
    if document.get("error"):
        raise _Invalid(Reason.FAILED_CALL)
    request = _object(document.get("request"), Reason.NO_REQUEST, Reason.BAD_REQUEST)
    messages = _messages(request, parse_arguments)
    tools = _tools(request)
    response = _object(document.get("response"), Reason.NO_RESPONSE, Reason.BAD_RESPONSE)
    if response.get("error"):
        raise _Invalid(Reason.FAILED_CALL)
    content, calls = _answer(response, parse_arguments)
    if not tools and not calls:
        raise _Invalid(Reason.NO_TOOLS)
    offered = {tool["function"]["name"] for tool in tools}
    if any(call.name not in offered for call in calls):
        raise _Invalid(Reason.UNKNOWN_TOOL)
    return Record(
        timestamp_ms=timestamp_ms,
        session_id=_session(document.get("session_id")),
        messages=messages,
        tools=tools,
        tool_choice=request.get("tool_choice") or "auto",
        content=content,
        calls=calls,
        response_id=response["id"] if isinstance(response.get("id"), str) else None,
    )


def _object(value: Any, missing: Reason, malformed: Reason) -> dict[str, Any]:
    if value is None or value == {}:
        raise _Invalid(missing)
    if not isinstance(value, dict):
        raise _Invalid(malformed)
    return value


def _session(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) or None


def _messages(request: dict[str, Any], parse_arguments: bool) -> list[Message]:
    messages = request.get("messages")
    if messages is None and request.get("input") is not None:
        raise _Invalid(Reason.EMBEDDING)
    if messages is None or messages == []:
        raise _Invalid(Reason.NO_MESSAGES)
    if not isinstance(messages, list):
        raise _Invalid(Reason.BAD_REQUEST)
    return [_message(message, parse_arguments) for message in messages]


def _message(message: Any, parse_arguments: bool) -> Message:
    if not isinstance(message, dict):
        raise _Invalid(Reason.BAD_MESSAGE)
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise _Invalid(Reason.BAD_MESSAGE)
    if not isinstance(message.get("content"), str | list | None):
        raise _Invalid(Reason.BAD_MESSAGE)
    if "tool_calls" not in message:
        if message.get("content") is None and role != "assistant":
            raise _Invalid(Reason.BAD_MESSAGE)
        return message
    if not message["tool_calls"]:
        return {key: value for key, value in message.items() if key != "tool_calls"}
    _calls(message["tool_calls"], parse_arguments)
    return message


def _tools(request: dict[str, Any]) -> list[dict[str, Any]]:
    tools = request.get("tools")
    if tools is None:
        return []
    if not isinstance(tools, list):
        raise _Invalid(Reason.BAD_TOOLS)
    for tool in tools:
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not _is_name(function.get("name")):
            raise _Invalid(Reason.BAD_TOOLS)
    return tools


def _answer(response: dict[str, Any], parse_arguments: bool) -> tuple[str, list[Call]]:
    choices = response.get("choices")
    if not choices:
        raise _Invalid(Reason.NO_CHOICES)
    if not isinstance(choices, list):
        raise _Invalid(Reason.BAD_RESPONSE)
    message = choices[0].get("message") if isinstance(choices[0], dict) else None
    if not isinstance(message, dict) or message.get("role", "assistant") != "assistant":
        raise _Invalid(Reason.BAD_ANSWER)
    content = message.get("content")
    if not isinstance(content, str | None):
        raise _Invalid(Reason.BAD_ANSWER)
    calls = _calls(message["tool_calls"], parse_arguments) if message.get("tool_calls") else []
    if not calls and not (content or "").strip():
        raise _Invalid(Reason.EMPTY_ANSWER)
    return content or "", calls


def _calls(calls: Any, parse_arguments: bool) -> list[Call]:
    if not isinstance(calls, list):
        raise _Invalid(Reason.BAD_CALL)
    return [_call(call, parse_arguments) for call in calls]


def _call(call: Any, parse_arguments: bool) -> Call:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not _is_name(function.get("name")):
        raise _Invalid(Reason.BAD_CALL)
    arguments = function.get("arguments")
    if parse_arguments:
        arguments = parse(arguments)
        if arguments is None:
            raise _Invalid(Reason.BAD_ARGUMENTS)
    return Call(function["name"], arguments, call["id"] if isinstance(call.get("id"), str) else None)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)

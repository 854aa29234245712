"""Tool-call arguments: logged as a JSON string (OpenAI) or as an object (parsed by the application)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

Message = dict[str, Any]


def parse(arguments: Any) -> dict[str, Any] | None:
    """The arguments as an object; absent or empty ones are `{}`. None when they are no JSON object."""
    if isinstance(arguments, dict):
        return arguments
    if arguments is None:
        return {}
    if not isinstance(arguments, str):
        return None
    if not arguments.strip():
        return {}
    try:
        parsed = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None


def as_text(arguments: Any) -> str:
    """The arguments as a JSON string; a string stays as it is."""
    if isinstance(arguments, str):
        return arguments
    return orjson.dumps({} if arguments is None else arguments).decode()


def as_object(arguments: Any) -> Any:
    """The arguments as an object; what is no JSON object stays as it is."""
    parsed = parse(arguments)
    return arguments if parsed is None else parsed


def map_arguments(messages: list[Message], change: Callable[[Any], Any]) -> list[Message]:
    """The messages with `change` applied to the arguments of every tool call, as new objects."""
    return [_map_message(message, change) if "tool_calls" in message else message for message in messages]


def with_content(messages: list[Message]) -> list[Message]:
    """The messages with "" where an assistant message has no content."""
    return [
        {**message, "content": ""}
        if message["role"] == "assistant" and message.get("content") is None
        else message
        for message in messages
    ]


def _map_message(message: Message, change: Callable[[Any], Any]) -> Message:
    calls = [
        {**call, "function": {**call["function"], "arguments": change(call["function"].get("arguments"))}}
        for call in message["tool_calls"]
    ]
    return {**message, "tool_calls": calls}

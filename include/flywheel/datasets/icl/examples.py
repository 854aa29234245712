"""An in-context example: turns of one training record, from a user message to the answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from include.flywheel.datasets.arguments import Message, as_text, map_arguments, parse
from include.flywheel.datasets.formats import openai_calls
from include.flywheel.datasets.records import Record

NEUTRAL_RESULT = "OK"
"""What the tools of an example's final calls are said to have returned."""

INSTRUCTIONS = ("system", "developer")

_SHORTEST_VALUE = 3
_TOLD_CHARS, _TOLD_MESSAGES = 2000, 6


def starts(record: Record) -> list[int]:
    """Where an example of the record may begin, the latest first; empty without a user message.

    An example is useful when it shows where the answer comes from. In the middle of a chain of calls that is
    the request of the user and what was looked up since, so an example never begins behind the last user
    message. Where the answer's arguments were said earlier, such as an order number before "yes, please", an
    example from the last user message would teach to invent them; so there is a second, longer one from the
    user message at which the last of these values can still be read. It is preferred where it fits.
    """
    users = [n for n, message in enumerate(record.messages) if message["role"] == "user"]
    if not users:
        return []
    said = [
        b"" if message["role"] in INSTRUCTIONS else orjson.dumps(message.get("content"))
        for message in record.messages
    ]
    places = (_last(value, said) for value in _values(record))
    needed = min((place for place in places if place >= 0), default=users[-1])
    whole = max((n for n in users if n <= needed), default=users[0])
    return [users[-1]] if whole == users[-1] else [users[-1], whole]


def example_turns(record: Record, start: int, number: int) -> list[Message]:
    """The turns from message `start` to the answer, then a neutral result for each of its calls.

    The log of a call does not hold its result. Instructions between the turns are left out.

    :param number: of the example in its request, from 1; its call ids are named after it, so that no two
        examples and no item share one.
    """
    answer: Message = {"role": "assistant", "content": record.content}
    if record.calls:
        answer["tool_calls"] = openai_calls(record.calls)
    results: list[Message] = [
        {"role": "tool", "tool_call_id": call["id"], "content": NEUTRAL_RESULT}
        for call in answer.get("tool_calls", [])
    ]
    before = [message for message in record.messages[start:] if message["role"] not in INSTRUCTIONS]
    return _renumbered([*map_arguments(before, as_text), answer, *results], number)


def tools_in(turns: list[Message]) -> frozenset[str]:
    """Names of the tools that the turns call."""
    return frozenset(call["function"]["name"] for turn in turns for call in turn.get("tool_calls", ()))


def last_told(messages: list[Message]) -> str:
    """What was said last, newest first: texts of the last messages, and names of the tools they call."""
    told: list[str] = []
    room = _TOLD_CHARS
    for message in list(reversed(messages))[:_TOLD_MESSAGES]:
        if message["role"] in INSTRUCTIONS or room <= 0:
            continue
        called = (call["function"]["name"] for call in message.get("tool_calls", ()))
        text = " ".join([*called, _text(message.get("content"))])[:room]
        told.append(text)
        room -= len(text)
    return "\n".join(told)


def _text(content: Any) -> str:
    if isinstance(content, list):
        return " ".join(str(part["text"]) for part in content if isinstance(part, dict) and "text" in part)
    return content if isinstance(content, str) else ""


def _values(record: Record) -> Iterator[bytes]:
    """Texts and numbers in the arguments of the answer's calls, as they stand within a JSON string."""
    waiting: list[Any] = [parse(call.arguments) for call in record.calls]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            text = value if isinstance(value, str) else str(value)
            if len(text) >= _SHORTEST_VALUE:
                yield orjson.dumps(text)[1:-1]


def _last(value: bytes, said: list[bytes]) -> int:
    """The last message that says the value; -1 where none does."""
    return next((n for n in reversed(range(len(said))) if value in said[n]), -1)


def _renumbered(turns: list[Message], number: int) -> list[Message]:
    names: dict[Any, str] = {}

    def renamed(call_id: Any) -> str:
        return names.setdefault(call_id, f"example_{number}_{len(names) + 1}")

    changed = []
    for turn in turns:
        message = dict(turn)
        if "tool_calls" in turn:
            message["tool_calls"] = [{**call, "id": renamed(call.get("id"))} for call in turn["tool_calls"]]
        if "tool_call_id" in turn:
            message["tool_call_id"] = renamed(turn["tool_call_id"])
        changed.append(message)
    return changed

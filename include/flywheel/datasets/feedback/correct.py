"""A user's expected answer as the answer of a record, where it can be one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import orjson

from include.flywheel.datasets.arguments import parse
from include.flywheel.datasets.kinds import Kind, label_of

Message = dict[str, Any]


def corrected(row: bytes, side: bytes, expected: str, kind: Kind, labels: Collection[str]) -> Any:
    """(training row, side) with the expected answer for the answer; None where it cannot stand there.

    Tool calls may be given as JSON: `{"name": …, "arguments": {…}}`, a list of these, or as the OpenAI API
    writes them, of tools that the request offers. Where a tool was called, words do not say what to call
    instead. A label must be one that the log knows.
    """
    training = orjson.loads(row)
    *messages, answer = training["messages"]
    offered = {tool["function"]["name"] for tool in training.get("tools", ())}
    target = _target(expected, answer, offered, kind, labels)
    if target is None:
        return None
    known = orjson.loads(side)
    known[3] = [call["id"] for call in target.get("tool_calls", ())]
    return orjson.dumps(training | {"messages": [*messages, target]}), orjson.dumps(known)


def _target(
    expected: str, answer: Message, offered: Collection[str], kind: Kind, labels: Collection[str]
) -> Message | None:
    if kind is Kind.CLASSIFICATION:
        label = label_of(expected)
        return {"role": "assistant", "content": label} if label in labels else None
    if kind is Kind.TOOL_CALLING:
        calls = _calls(expected, offered)
        if calls:
            return {"role": "assistant", "content": "", "tool_calls": calls}
        if answer.get("tool_calls"):
            return None
    return {"role": "assistant", "content": expected.strip()}


def _calls(expected: str, offered: Collection[str]) -> list[Message]:
    """The calls that a text is; none where it is no JSON of calls of the tools on offer."""
    try:
        said = orjson.loads(expected)
    except orjson.JSONDecodeError:
        return []
    if isinstance(said, dict) and "tool_calls" in said:
        said = said["tool_calls"]
    calls = []
    for number, one in enumerate(said if isinstance(said, list) else [said]):
        function = one.get("function", one) if isinstance(one, dict) else None
        if not isinstance(function, dict) or function.get("name") not in offered:
            return []
        arguments = parse(function.get("arguments"))
        if arguments is None:
            return []
        named = {"name": function["name"], "arguments": arguments}
        calls.append({"id": f"call_{number}", "type": "function", "function": named})
    return calls

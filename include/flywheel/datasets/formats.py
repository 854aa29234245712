"""The rows of the evaluation files. Those of the training files are written by `validate`."""

from __future__ import annotations

from typing import Any

from include.flywheel.datasets.arguments import Message, as_text, map_arguments
from include.flywheel.datasets.records import Call, Record, item_id

Row = dict[str, Any]


def eval_row(record: Record, conversation_id: str, label: str | None = None) -> Row:
    """`{item_id, conversation_id, request, response, tool_calls, label?}`: what was asked, and the truth.

    In the request and the response arguments are JSON strings, as the OpenAI API wants them; in the ground
    truth `tool_calls` they are objects. The truth of a turn that calls no tool is []; that of a
    classification is `label`.
    """
    request: Row = {"messages": map_arguments(record.messages, as_text)}
    if record.tools:
        request |= {"tools": record.tools, "tool_choice": record.tool_choice}
    row = {
        "item_id": item_id(record.digest),
        "conversation_id": conversation_id,
        "request": request,
        "response": {"content": record.content, "tool_calls": openai_calls(record.calls)},
        "tool_calls": [{"function": _function(call)} for call in record.calls],
    }
    return row if label is None else row | {"label": label}


def icl_row(row: Row, examples: list[list[Message]]) -> Row:
    """An evaluation row with the examples' turns after the system messages of its request."""
    messages = row["request"]["messages"]
    head = 0
    while head < len(messages) and messages[head]["role"] in ("system", "developer"):
        head += 1
    turns = [message for example in examples for message in example]
    request = {**row["request"], "messages": [*messages[:head], *turns, *messages[head:]]}
    return {**row, "request": request}


def openai_calls(calls: Any) -> list[Row]:
    """Calls as the OpenAI API writes them: arguments as JSON strings."""
    return [
        {
            "id": _call_id(call, n),
            "type": "function",
            "function": {"name": call.name, "arguments": as_text(call.arguments)},
        }
        for n, call in enumerate(calls)
    ]


def _function(call: Call) -> Row:
    return {"name": call.name, "arguments": call.arguments}


def _call_id(call: Call, number: int) -> str:
    return call.id or f"call_{number}"

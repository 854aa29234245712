"""A row of a data set in a few lines: what was asked last, and what was answered."""

from __future__ import annotations

import json
from typing import Any

WIDTH = 150


def row_lines(row: dict[str, Any]) -> list[str]:
    """Lines for people. A row of training ends with its answer; one of evaluation has its truth beside it.

    A row of an embedding job has no messages: its fields.
    """
    if "request" not in row and "messages" not in row:
        return [f"  {name:<16} {_short(_text(value))}" for name, value in row.items() if value]
    if "request" in row:
        messages, tools = row["request"]["messages"], row["request"].get("tools", [])
        head = f"item {row['item_id']} of conversation {row['conversation_id']}"
        answer = _answer(row["response"])
    else:
        *messages, last = row["messages"]
        tools, head, answer = row.get("tools", []), "row", _answer(last)
    return [
        f"  {head}: {len(messages)} messages, {len(tools)} tools",
        *(f"    {message['role']:<9} {_short(_said(message))}" for message in messages[-2:]),
        f"    → {_short(answer)}",
    ]


def _said(message: dict[str, Any]) -> str:
    return _answer(message) if message.get("tool_calls") else _text(message.get("content"))


def _answer(message: dict[str, Any]) -> str:
    calls = message.get("tool_calls") or []
    if not calls:
        return _text(message.get("content"))
    return "; ".join(f"{call['function']['name']}({_text(call['function']['arguments'])})" for call in calls)


def _text(content: Any) -> str:
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"

"""How the production agent reads a conversation: turns, tool results, and what the user named."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ORDER_ID = re.compile(r"\bSO-\d{5}\b", re.IGNORECASE)
EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
SKU = re.compile(r"\b(?!AC|GC)[A-Z]{2}-\d{4}\b")
ACCOUNT = re.compile(r"\bAC-\d{4}\b", re.IGNORECASE)
GIFT_CARD = re.compile(r"\bGC-\d{4}-\d{4}\b", re.IGNORECASE)
COUPON = re.compile(r"\b[A-Z]{4,10}\d{1,2}\b")
SIZE = re.compile(r"\bsize (XXL|XL|XS|S|M|L)\b", re.IGNORECASE)
QUANTITY = re.compile(r"\b(\d{1,4})\s*(?:x\b|units?\b|pcs\b|pieces?\b|of\b)", re.IGNORECASE)
MAX_PRICE = re.compile(r"\b(?:under|below|up to|at most|max(?:imum)?)\s+(?:€\s*)?(\d{1,4})\b", re.IGNORECASE)
WANTED_PRODUCT = re.compile(
    r"\b(?:looking for|searching for|recommend|suggest|need|after) (?:me )?(?:an? |some )?"
    r"(?P<product>[^\W\d]+(?: [^\W\d]+){0,2}?)(?= under| below| up to| at most| for |[.,?!]|$)",
    re.IGNORECASE,
)
ADDRESS = re.compile(
    r"(?:\bto|\bis|:|\bat)\s+(?P<street>[^,:\d]{3,40} \d{1,3}[a-z]?),\s*(?P<postal_code>\d{4,5})\s+"
    r"(?P<city>[^\W\d_]+(?: [^\W\d_]+)?)(?=[.,!?]|\s*$| instead| please)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class PastCall:
    """A tool call of the conversation. `result` is empty when it has none that is a JSON object."""

    position: int
    name: str
    arguments: Mapping[str, Any]
    result: Mapping[str, Any]


@dataclass(frozen=True)
class Conversation:
    """What was said and done so far, in order; `position` is the index of the message."""

    said: tuple[tuple[int, str], ...]
    calls: tuple[PastCall, ...]
    asked_by_agent: bool

    @property
    def user_text(self) -> str:
        """Everything that the user said, oldest first."""
        return "\n".join(text for _, text in self.said)


def text_of(content: object) -> str:
    """The text of a message's content: a string, a list of parts, or nothing."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "\n".join(part for part in parts if isinstance(part, str))
    return ""


def as_object(value: object) -> dict[str, Any]:
    """A JSON object given as such or as text; anything else is an empty object."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return dict(value) if isinstance(value, dict) else {}


def objects_in(value: object) -> list[dict[str, Any]]:
    """The JSON objects of a list; empty for whatever else a tool may have answered."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def read_conversation(messages: object) -> Conversation:
    """Reads OpenAI chat messages; what is malformed is passed over, because real logs hold it."""
    turns = objects_in(messages)
    results = {
        str(turn.get("tool_call_id")): as_object(text_of(turn.get("content")))
        for turn in turns
        if turn.get("role") == "tool"
    }
    said, calls, last_reply = [], [], ""
    for position, turn in enumerate(turns):
        if turn.get("role") == "user":
            said.append((position, text_of(turn.get("content"))))
        elif turn.get("role") == "assistant":
            last_reply = text_of(turn.get("content")) or last_reply
            calls.extend(_calls_of(turn, position, results))
    return Conversation(tuple(said), tuple(calls), last_reply.rstrip().endswith("?"))


def _calls_of(
    turn: Mapping[str, Any], position: int, results: Mapping[str, dict[str, Any]]
) -> list[PastCall]:
    listed = turn.get("tool_calls")
    calls = []
    for call in listed if isinstance(listed, list) else []:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            arguments = as_object(function.get("arguments"))
            calls.append(
                PastCall(position, function["name"], arguments, results.get(str(call.get("id")), {}))
            )
    return calls


def newest(pattern: re.Pattern[str], text: str) -> str | None:
    """The last thing in the text that the pattern finds (its first group where it has one)."""
    found = [match.group(match.lastindex or 0) for match in pattern.finditer(text)]
    return found[-1] if found else None


def order_ids(text: str) -> list[str]:
    """The distinct order ids of the text in house form (upper case), as first named."""
    return list(dict.fromkeys(found.upper() for found in ORDER_ID.findall(text)))


def address(text: str) -> dict[str, str] | None:
    """The postal address that the text names last, or None."""
    found = list(ADDRESS.finditer(text))
    return {key: value.strip() for key, value in found[-1].groupdict().items()} if found else None


def named_item(items: object, text: str) -> dict[str, Any]:
    """The item of an order's list that the text names, else its first; empty when there is none."""
    known = objects_in(items)
    lowered = text.lower()
    for item in known:
        if str(item.get("name", "")).lower() in lowered or str(item.get("sku", "?")).lower() in lowered:
            return item
    return known[0] if known else {}

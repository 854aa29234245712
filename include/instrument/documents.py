"""The record document: its keys and their order, cut texts, its line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, TypedDict
from uuid import uuid4

from .sinks import Line

Document = dict[str, Any]


class Tags(TypedDict, total=False):
    """What an application may say about its calls: at the recorder, where it wraps, or around a call.

    `client_id` and `workload_id` select the records of a flywheel run: each call needs both.
    """

    client_id: str | None
    workload_id: str | None
    session_id: str | None
    trace_id: str | None
    description: str | None
    provider: str | None


_ORDER = (
    *("timestamp", "client_id", "workload_id", "request", "response", "session_id", "trace_id"),
    *("description", "latency_ms", "tokens_in", "tokens_out", "provider", "error", "truncated"),
)
_MAX_ERROR_CHARS = 500
_LAST_MS = 253_402_300_799_999  # the end of the year 9999
_SECRET = re.compile(r"(?i)\b(bearer\s+|sk-|nvapi-)[\w.~+/=*-]{4,}")


class MissingIds(Exception):
    """A document names no client or no workload."""


def known(tags: Mapping[str, Any]) -> Mapping[str, Any]:
    """`tags`. Raises TypeError, as Python does for a keyword that a function does not have."""
    for name in tags:
        if name not in Tags.__annotations__:
            raise TypeError(f"there is no tag {name!r}; give any of {', '.join(Tags.__annotations__)}")
    return tags


def merged(*levels: Mapping[str, Any]) -> dict[str, str]:
    """The tags of all levels as texts; later levels win, None says nothing."""
    found = {}
    for level in levels:
        for name, value in level.items():
            if value is not None:
                found[name] = value if type(value) is str else str(value)
    return found


def document(
    *,
    timestamp_ms: int,
    tags: Mapping[str, str],
    request: Document,
    response: Document | None = None,
    latency_ms: float | None = None,
    error: str | None = None,
) -> Document:
    """A record of one call from plain JSON values; what is None is left out."""
    usage = response.get("usage") if response else None
    usage = usage if isinstance(usage, dict) else {}
    record = {
        "timestamp": timestamp_ms,
        "request": request,
        "response": response,
        "latency_ms": None if latency_ms is None else round(latency_ms, 1),
        "tokens_in": _count(usage.get("prompt_tokens")),
        "tokens_out": _count(usage.get("completion_tokens")),
        "error": error,
        **tags,
    }
    return {name: record[name] for name in _ORDER if record.get(name) is not None}


def error_text(error: BaseException | str) -> str:
    """One short line about a failure, with what looks like a credential masked."""
    text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    return _SECRET.sub(r"\1***", " ".join(text.split()))[:_MAX_ERROR_CHARS]


def as_line(record: Document, max_text_chars: int | None) -> Line:
    """The line of a record, the ids first, its long texts cut (in place).

    Raises MissingIds, or ValueError and TypeError where the record is not JSON.
    """
    timestamp_ms, ids = record.get("timestamp"), [record.get("client_id"), record.get("workload_id")]
    if not all(isinstance(one, str) and one for one in ids):
        raise MissingIds("a record needs `client_id` and `workload_id`; give them to Recorder or log_calls")
    if type(timestamp_ms) is not int or not 0 < timestamp_ms <= _LAST_MS:
        raise ValueError("`timestamp` is no Unix time in whole milliseconds")
    if max_text_chars is not None:
        cut = _cut_texts(record, max_text_chars)
        if cut:
            record["truncated"] = cut
    ordered = {name: record[name] for name in _ORDER if name in record}
    ordered.update(record)
    text = json.dumps(ordered, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # Half a surrogate pair has no UTF-8; a question mark in its place keeps the record.
    return Line(uuid4().hex, timestamp_ms, text.encode("utf-8", "replace"))


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _cut_texts(record: Document, max_chars: int) -> int:
    """Cut texts of messages and answers; how many were cut. Tool-call arguments stay whole: they are JSON."""
    cut = 0

    def shorten(text: str) -> str:
        nonlocal cut
        if len(text) <= max_chars:
            return text
        cut += 1
        return f"{text[:max_chars]}… [{len(text) - max_chars} characters cut]"

    request, response = record.get("request"), record.get("response")
    if isinstance(request, dict):
        _shorten_each(request.get("messages"), shorten)
        if "input" in request:
            request["input"] = _shortened(request["input"], shorten)
    if isinstance(response, dict) and isinstance(response.get("choices"), list):
        _shorten_each([c.get("message") for c in response["choices"] if isinstance(c, dict)], shorten)
    return cut


def _shorten_each(messages: Any, shorten: Callable[[str], str]) -> None:
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, dict):
            for name in ("content", "refusal", "reasoning_content", "reasoning"):
                if name in message:
                    message[name] = _shortened(message[name], shorten)


def _shortened(content: Any, shorten: Callable[[str], str]) -> Any:
    """A text, a list of texts, or a list of content parts with their `text` cut."""
    if isinstance(content, str):
        return shorten(content)
    if isinstance(content, list):
        for number, part in enumerate(content):
            if isinstance(part, str):
                content[number] = shorten(part)
            elif isinstance(part, dict) and isinstance(part.get("text"), str):
                part["text"] = shorten(part["text"])
    return content

"""The log records that rows of feedback name by their trace: what was asked, and what was answered."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

import msgspec
import orjson

from include.flywheel.logs.store import LogQuery, LogStore
from include.flywheel.logs.timestamps import to_milliseconds


class _Traced(msgspec.Struct):
    trace_id: Any = None


_trace = msgspec.json.Decoder(_Traced).decode


def find_traces(
    store: LogStore, client_id: str, workload_id: str | None, traces: Collection[str]
) -> dict[str, dict[str, Any]]:
    """For each trace that the log holds, the fields of feedback that its last record tells.

    :param workload_id: None: all of the client's workloads are read.
    """
    if workload_id is not None:
        workloads = [workload_id]
    else:
        held = store.describe().workloads
        workloads = [one.workload_id for one in held if one.client_id == client_id]
    found: dict[str, tuple[int, dict[str, Any]]] = {}
    for workload in workloads:
        for line in store.read(LogQuery(client_id=client_id, workload_id=workload)):
            trace_id = _trace_of(line)
            if trace_id is None or trace_id not in traces:
                continue
            timestamp_ms, fields = _fields(orjson.loads(line))
            if trace_id not in found or timestamp_ms > found[trace_id][0]:
                found[trace_id] = timestamp_ms, fields
    return {trace_id: fields for trace_id, (_, fields) in found.items()}


def _trace_of(line: bytes) -> str | None:
    try:
        trace_id = _trace(line).trace_id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return trace_id if isinstance(trace_id, str) else None


def _fields(record: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """(Unix milliseconds, fields); what cannot be read is left out."""
    timestamp_ms = to_milliseconds(record.get("timestamp")) or 0
    request, message = _object(record.get("request")), _answer(record)
    fields = {
        "query": _last_question(request.get("messages")),
        "response": _text(message.get("content")) or _calls(message.get("tool_calls")),
        "model": request.get("model"),
        "session_id": record.get("session_id"),
        "client_id": record.get("client_id"),
        "workload_id": record.get("workload_id"),
        "timestamp": datetime.fromtimestamp(timestamp_ms / 1000, tz=UTC).isoformat()
        if timestamp_ms
        else None,
    }
    return timestamp_ms, {name: value for name, value in fields.items() if isinstance(value, str) and value}


def _answer(record: dict[str, Any]) -> dict[str, Any]:
    choices = _object(record.get("response")).get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return _object(_object(first).get("message"))


def _last_question(messages: Any) -> str:
    for message in reversed(messages if isinstance(messages, list) else []):
        if _object(message).get("role") == "user":
            return _text(message.get("content"))
    return ""


def _text(content: Any) -> str:
    if isinstance(content, list):
        content = "".join(str(_object(part).get("text", "")) for part in content)
    return content if isinstance(content, str) else ""


def _calls(calls: Any) -> str:
    """Tool calls as JSON, in the form in which a correction may give them."""
    functions = [_object(_object(call).get("function")) for call in calls if call] if calls else []
    said = [{"name": one.get("name"), "arguments": one.get("arguments")} for one in functions]
    return orjson.dumps(said).decode() if said else ""


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}

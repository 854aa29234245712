"""The blemishes of real logs: how often each occurs, and how a record gets one."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import orjson

from include.local_stack.traffic.errors import TrafficError
from include.local_stack.traffic.report import TrafficReport

Record = dict[str, Any]

_NOISE = (
    b"2026-11-02T10:22:11Z WARN log-shipper: queue full, dropping records",
    b"Traceback (most recent call last):",
    b"{'client_id': 'acme-shop', 'workload_id': None}",
)
_ERRORS = (
    {"type": "timeout", "message": "upstream did not answer within 30 s"},
    {"type": "rate_limit", "message": "429 Too Many Requests"},
    {"type": "server_error", "message": "503 Service Unavailable"},
)
_HARMFUL = (
    "not_json",
    "not_object",
    "torn",
    "no_timestamp",
    "no_client_id",
    "no_response",
    "no_messages",
    "no_choices",
    "error",
)


@dataclass(frozen=True)
class Blemishes:
    """How often each blemish occurs, as shares from 0 to 1.

    Of the answers: all but `no_session`, which is of the conversations. What makes a line unusable
    (`not_json` to `error`) excludes each other, so these shares add up to at most 1.
    `reasked` sends the same request once more with another seed and logs whatever comes back.
    """

    duplicate_line: float = 0.012
    reasked: float = 0.05
    not_json: float = 0.003
    not_object: float = 0.002
    torn: float = 0.002
    no_timestamp: float = 0.003
    no_client_id: float = 0.002
    no_response: float = 0.003
    no_messages: float = 0.002
    no_choices: float = 0.003
    error: float = 0.008
    seconds: float = 0.02
    object_arguments: float = 0.03
    unknown_fields: float = 0.04
    no_session: float = 0.01

    def __post_init__(self) -> None:
        """Raises TrafficError for a share outside 0 to 1."""
        for field in fields(self):
            share = getattr(self, field.name)
            if not 0 <= share <= 1:
                raise TrafficError(f"share `{field.name}` is {share!r}; give a number from 0 to 1")
        total = sum(getattr(self, name) for name in _HARMFUL)
        if total > 1 + 1e-9:
            raise TrafficError(f"the shares of unusable lines add up to {total:.3f}; lower them to at most 1")


NONE = Blemishes(**{field.name: 0.0 for field in fields(Blemishes)})


class Blemisher:
    """Turns clean records into log lines, blemished by chance, and counts every line in the report."""

    def __init__(self, shares: Blemishes, rng: random.Random, report: TrafficReport) -> None:
        self._shares = shares
        self._rng = rng
        self._report = report

    def lines(self, record: Record) -> Iterator[bytes]:
        """The lines of one clean record, each ended by a newline."""
        kind = self._unusable_kind()
        if kind in ("not_json", "not_object", "error"):
            yield self._count(kind, self._instead(kind, record))
            kind = None
        if kind:
            yield self._count(kind, _spoilt(kind, record))
            return
        record = self._with_traits(record)
        line = _dump(record)
        self._report.count_answer(record, line)
        yield self._count("answer", line)
        if self._rng.random() < self._shares.duplicate_line:
            yield self._count("duplicate_line", line)

    def _unusable_kind(self) -> str | None:
        chance = self._rng.random()
        for kind in _HARMFUL:
            chance -= getattr(self._shares, kind)
            if chance < 0:
                return kind
        return None

    def _instead(self, kind: str, record: Record) -> bytes:
        """A line before the record: what is no record, or a failed try of the same request."""
        if kind == "not_json":
            return self._rng.choice(_NOISE) + b"\n"
        if kind == "not_object":
            return _dump(["heartbeat", record["timestamp"]])
        failed = {**record, "response": None, "error": self._rng.choice(_ERRORS)}
        return _dump({**failed, "trace_id": f"{record['trace_id']}-failed"})

    def _with_traits(self, record: Record) -> Record:
        shares, rng, traits = self._shares, self._rng, self._report.traits
        if rng.random() < shares.seconds:
            record = {**record, "timestamp": record["timestamp"] // 1000}
            traits["seconds"] += 1
        if rng.random() < shares.object_arguments and _calls(record):
            record = _with_parsed_arguments(record)
            traits["object_arguments"] += 1
        if rng.random() < shares.unknown_fields:
            record = {**record, "contract_version": "2", "exporter": {"host": "shop-gw-3"}}
            traits["unknown_fields"] += 1
        return record

    def _count(self, kind: str, line: bytes) -> bytes:
        self._report.lines += 1
        self._report.kinds[kind] += 1
        return line


def _dump(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)


def _spoilt(kind: str, record: Record) -> bytes:
    """The line of a record that lost something on its way."""
    if kind == "torn":
        line = _dump(record)
        return line[: len(line) // 2].decode(errors="ignore").encode() + b"\n"
    if kind == "no_messages":
        request = {key: value for key, value in record["request"].items() if key != "messages"}
        return _dump({**record, "request": request})
    if kind == "no_choices":
        return _dump({**record, "response": {**record["response"], "choices": []}})
    lost = kind.removeprefix("no_")
    return _dump({key: value for key, value in record.items() if key != lost})


def _calls(record: Record) -> list[Record]:
    return record["response"]["choices"][0]["message"].get("tool_calls") or []


def _with_parsed_arguments(record: Record) -> Record:
    """The record as an application logs it that parsed the arguments of the answer's calls."""
    choice = record["response"]["choices"][0]
    calls = [
        {**call, "function": {**call["function"], "arguments": json.loads(call["function"]["arguments"])}}
        for call in _calls(record)
    ]
    message = {**choice["message"], "tool_calls": calls}
    return {**record, "response": {**record["response"], "choices": [{**choice, "message": message}]}}

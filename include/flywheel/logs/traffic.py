"""How much traffic each workload has, from a store's statistics; counted by one, for all that ask."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait

import orjson
from pydantic import BaseModel, ConfigDict, Field

from include.flywheel.errors import FlywheelError
from include.flywheel.logs.statistics import DayStatistics
from include.flywheel.logs.store import LogQuery, LogStore

log = logging.getLogger(__name__)

FRESH_SECONDS = 60.0
WAIT_SECONDS = 5.0
SAMPLE_RECORDS = 200
"""Newest records whose answers are looked at where the statistics do not say which call a tool …"""
SAMPLED_WORKLOADS = 100
"""… of so many workloads at most."""


class Traffic(BaseModel):
    """The records of one client and workload in one log store."""

    model_config = ConfigDict(extra="forbid")

    client_id: str
    workload_id: str
    records: int = Field(ge=0)
    first_ms: int | None = Field(default=None, description="Unix milliseconds of the oldest record.")
    last_ms: int | None = Field(default=None, description="Unix milliseconds of the newest record.")
    tool_share: float | None = Field(
        default=None, ge=0, le=1, description="Share of the answers that call a tool; null: not known."
    )


class TrafficCount(BaseModel):
    """What a store said. `note`: why it said nothing, or not yet."""

    model_config = ConfigDict(extra="forbid")

    traffic: list[Traffic] = []
    note: str | None = None


def traffic_of(days: Iterable[DayStatistics]) -> list[Traffic]:
    """The days of each client and workload together, by name."""
    by_workload: dict[tuple[str, str], list[DayStatistics]] = {}
    for day in days:
        by_workload.setdefault((day.client_id, day.workload_id), []).append(day)
    return [_sum(*key, by_workload[key]) for key in sorted(by_workload)]


def _sum(client_id: str, workload_id: str, days: list[DayStatistics]) -> Traffic:
    records = sum(day.records for day in days)
    calls = [day.tool_calls for day in days if day.tool_calls is not None]
    return Traffic(
        client_id=client_id,
        workload_id=workload_id,
        records=records,
        first_ms=min((day.first_ms for day in days if day.first_ms is not None), default=None),
        last_ms=max((day.last_ms for day in days if day.last_ms is not None), default=None),
        tool_share=sum(calls) / records if len(calls) == len(days) and records else None,
    )


def count_traffic(store: LogStore) -> list[Traffic]:
    """The traffic of a store. Where its statistics do not know the tool share, that of the newest records."""
    counted = traffic_of(store.statistics().days)
    unknown = [one for one in counted if one.tool_share is None]
    for one in unknown[:SAMPLED_WORKLOADS]:
        one.tool_share = _sampled_tool_share(store, one)
    return counted


def _sampled_tool_share(store: LogStore, whose: Traffic) -> float | None:
    query = LogQuery(client_id=whose.client_id, workload_id=whose.workload_id, limit=SAMPLE_RECORDS)
    answers = [calls for calls in map(_calls_a_tool, store.read(query)) if calls is not None]
    return sum(answers) / len(answers) if answers else None


def _calls_a_tool(line: bytes) -> bool | None:
    """Whether the answer of a record calls a tool; None for what is no record with an answer."""
    try:
        return bool(orjson.loads(line)["response"]["choices"][0]["message"].get("tool_calls"))
    except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError):
        return None


class TrafficCounts:
    """The traffic of log stores by connection: counted once a minute at most, waited for a few seconds.

    Who comes while it is counted waits for the same count. One that takes longer goes on, and is there for
    who asks next. `open_store` gives the store of a connection, or raises FlywheelError.
    """

    def __init__(
        self,
        open_store: Callable[[str], LogStore],
        *,
        fresh_seconds: float = FRESH_SECONDS,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._open_store = open_store
        self._fresh_seconds, self._wait_seconds = fresh_seconds, wait_seconds
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="traffic")
        self._lock = threading.Lock()
        self._counting: dict[str, Future[tuple[float, TrafficCount]]] = {}
        self._counted: dict[str, tuple[float, TrafficCount]] = {}

    def get(self, conn_ids: Iterable[str]) -> dict[str, TrafficCount]:
        """By connection. Where nothing is known in time, an older count with a note, or the note alone."""
        named = sorted(set(conn_ids))
        asked = {conn_id: self._ask(conn_id) for conn_id in named}
        wait([one for one in asked.values() if one is not None], timeout=self._wait_seconds)
        return {conn_id: self._answer(conn_id, future) for conn_id, future in asked.items()}

    def _ask(self, conn_id: str) -> Future[tuple[float, TrafficCount]] | None:
        """The count that is under way; None where the last one is fresh."""
        with self._lock:
            counting = self._counting.get(conn_id)
            if counting is not None and counting.done():
                self._counted[conn_id] = counting.result()
                del self._counting[conn_id]
                counting = None
            at, _ = self._counted.get(conn_id, (float("-inf"), None))
            if counting is None and time.monotonic() - at >= self._fresh_seconds:
                counting = self._counting[conn_id] = self._threads.submit(self._count, conn_id)
            return counting

    def _answer(self, conn_id: str, future: Future[tuple[float, TrafficCount]] | None) -> TrafficCount:
        if future is not None and future.done():
            return future.result()[1]
        known = self._counted.get(conn_id)
        if future is None and known is not None:
            return known[1]
        note = f"the records of {conn_id!r} are still being counted: ask again in a moment"
        return TrafficCount(traffic=known[1].traffic if known else [], note=note)

    def _count(self, conn_id: str) -> tuple[float, TrafficCount]:
        try:
            counted = TrafficCount(traffic=count_traffic(self._open_store(conn_id)))
        except FlywheelError as error:
            counted = TrafficCount(note=f"the records of {conn_id!r} cannot be counted: {error}")
        except Exception as error:
            log.exception("the records of %r cannot be counted", conn_id)
            reason = f"{type(error).__name__}; the log says more"
            counted = TrafficCount(note=f"the records of {conn_id!r} cannot be counted: {reason}")
        return time.monotonic(), counted

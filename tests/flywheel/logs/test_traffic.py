"""The traffic of workloads: summed from the statistics, counted once for all who ask, waited for a while."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

from include.flywheel.errors import ConfigError
from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.statistics import DayStatistics, StoreStatistics
from include.flywheel.logs.store import LogStore
from include.flywheel.logs.traffic import Traffic, TrafficCounts, count_traffic, traffic_of

DAY_MS = 86_400_000
T0 = 1_717_200_000_000


def day(number: int, workload: str = "desk", **known: Any) -> DayStatistics:
    return DayStatistics(day=f"2024-06-0{number}", client_id="acme", workload_id=workload, **known)


def test_the_days_of_a_workload_become_one_row() -> None:
    days = [
        day(1, records=3, first_ms=10, last_ms=20, tool_calls=3),
        day(1, "other", records=1),
        day(2, records=1, first_ms=30, last_ms=40, tool_calls=0),
    ]
    desk, other = traffic_of(days)
    assert (desk.records, desk.first_ms, desk.last_ms, desk.tool_share) == (4, 10, 40, 0.75)
    assert (other.records, other.first_ms, other.tool_share) == (1, None, None)
    assert traffic_of([]) == []
    partly = [day(1, records=1, tool_calls=1), day(2, records=1)]
    assert traffic_of(partly)[0].tool_share is None


def record(number: int, *, calls: bool) -> dict[str, Any]:
    answer = {"tool_calls": [{"id": "c"}] if calls else None, "content": "x"}
    ids = {"client_id": "acme", "workload_id": "desk", "timestamp": T0 + number * DAY_MS}
    return {**ids, "response": {"choices": [{"message": answer}]}}


class Untold:
    """A store whose statistics do not say which answers call a tool, as those of an index do not."""

    def __init__(self, store: FileLogStore) -> None:
        self._store = store
        self.read = store.read

    def statistics(self) -> StoreStatistics:
        told = self._store.statistics()
        days = [one.model_copy(update={"tool_calls": None}) for one in told.days]
        return told.model_copy(update={"days": days})


def test_where_statistics_do_not_tell_the_newest_answers_are_looked_at(tmp_path: Path) -> None:
    store = FileLogStore(tmp_path)
    store.append([*(record(n, calls=n == 0) for n in range(4)), {**record(5, calls=True), "response": 3}])
    expected = Traffic(
        client_id="acme", workload_id="desk", records=5, first_ms=T0, last_ms=T0 + 5 * DAY_MS, tool_share=0.25
    )
    assert count_traffic(cast("LogStore", Untold(store))) == [expected]
    assert count_traffic(store) == [expected.model_copy(update={"tool_share": 0.2})]


class Slow:
    """A store that answers once it is let go; counts how often it was asked."""

    def __init__(self) -> None:
        self.go, self.asked, self.records = threading.Event(), 0, 1

    def statistics(self) -> StoreStatistics:
        self.asked += 1
        assert self.go.wait(30)
        one = day(1, records=self.records, tool_calls=0)
        return StoreStatistics(where="here", days=[one], notes=[])


def counts_of(store: Slow, **options: float) -> TrafficCounts:
    return TrafficCounts(lambda _: cast("LogStore", store), **options)


def test_many_who_ask_wait_for_one_count_which_is_kept() -> None:
    store = Slow()
    counts = counts_of(store, wait_seconds=30, fresh_seconds=60)
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(counts.get, ["logs"]) for _ in range(6)]
        store.go.set()
        answers = [one.result(30) for one in asked]
    assert all(answer["logs"].traffic[0].records == 1 for answer in answers)
    assert counts.get(["logs"])["logs"].note is None
    assert store.asked == 1


def counted(counts: TrafficCounts) -> int:
    """The records, once they are counted."""
    while (count := counts.get(["logs"])["logs"]).note is not None:
        assert "still being counted: ask again" in count.note
    return count.traffic[0].records


def test_who_cannot_wait_gets_a_note_and_the_count_goes_on() -> None:
    store = Slow()
    counts = counts_of(store, wait_seconds=0.05, fresh_seconds=60)
    first = counts.get(["logs"])["logs"]
    assert first.traffic == []
    assert "still being counted: ask again" in (first.note or "")
    store.go.set()
    assert counted(counts) == 1
    assert store.asked == 1


def test_what_is_old_is_counted_again_and_stands_until_then() -> None:
    store = Slow()
    store.go.set()
    counts = counts_of(store, wait_seconds=0.5, fresh_seconds=0)
    assert counted(counts) == 1
    store.records = 2
    assert counted(counts) == 2
    store.go.clear()
    stale = counts.get(["logs"])["logs"]
    assert (stale.traffic[0].records, stale.note is not None) == (2, True)
    store.go.set()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConfigError("connection 'logs' is not configured"), "cannot be counted: connection 'logs' is not"),
        (RuntimeError("secret address"), "cannot be counted: RuntimeError; the log says more"),
    ],
)
def test_a_store_that_is_away_is_a_note_without_secrets(error: Exception, said: str) -> None:
    def away(conn_id: str) -> LogStore:
        raise error

    count = TrafficCounts(away).get(["logs"])["logs"]
    assert count.traffic == []
    assert said in (count.note or "")
    assert "secret" not in (count.note or "")

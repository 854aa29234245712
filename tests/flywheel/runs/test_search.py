"""Pages of runs: every run once, in order, whatever is opened meanwhile; and quick with a thousand."""

from __future__ import annotations

import random
import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from pymongo.database import Database

from include.flywheel.config.conf import resolve
from include.flywheel.runs.documents import RunDocument
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.run_documents import stored
from include.flywheel.runs.search import RunQuery, RunSummary, Sort
from include.flywheel.runs.states import RunStatus

START = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
STATUSES = list(RunStatus)


def run(number: int, minute: int = 0, **fields: Any) -> RunDocument:
    names = {"client_id": f"c{number % 3}", "workload_id": f"w{number % 2}"}
    at = (START + timedelta(minutes=minute)).isoformat(timespec="milliseconds")
    fields = names | {"status": STATUSES[number % len(STATUSES)], "created_at": at} | fields
    return RunDocument(job_id=f"{number:024x}", dag_id="d", run_id=f"r{number}", **fields)


def followed(runs: RunRepository, **query: Any) -> list[list[RunSummary]]:
    pages, cursor = [], None
    while True:
        page = runs.search(RunQuery(**query, cursor=cursor))
        pages.append(page.runs)
        cursor = page.next_cursor
        if cursor is None:
            return pages


def names(pages: list[list[RunSummary]]) -> list[str]:
    return [one.job_id for page in pages for one in page]


@given(
    minutes=st.lists(st.integers(0, 3), max_size=12),
    limit=st.integers(1, 5),
    sort=st.sampled_from(Sort),
    client=st.none() | st.just("c1"),
    workload=st.none() | st.just("w0"),
    status=st.none() | st.just(RunStatus.FAILED),
    after=st.none() | st.integers(0, 3),
    before=st.none() | st.integers(4, 5),
    permitted=st.none() | st.just(("flywheel__c1__w0", "flywheel__c2__w1")) | st.just(()),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_pages_together_are_what_the_query_means(
    mongo_database: Database[dict[str, Any]], minutes: list[int], limit: int, sort: Sort, **said: Any
) -> None:
    runs = RunRepository(mongo_database)
    mongo_database["runs"].delete_many({})
    written = [run(number, minute) for number, minute in enumerate(minutes)]
    for one in written:
        runs.open(one)
    query: dict[str, Any] = {"limit": limit, "sort": sort, "permitted": said["permitted"]}
    query |= {"client_id": said["client"], "workload_id": said["workload"], "status": said["status"]}
    bounds = {
        name: None if said[name] is None else START + timedelta(minutes=said[name])
        for name in ("after", "before")
    }
    query |= {"created_after": bounds["after"], "created_before": bounds["before"]}

    def meant(one: RunDocument) -> bool:
        at = datetime.fromisoformat(one.created_at)
        return (
            said["client"] in {None, one.client_id}
            and said["workload"] in {None, one.workload_id}
            and said["status"] in {None, one.status}
            and (bounds["after"] is None or at >= bounds["after"])
            and (bounds["before"] is None or at < bounds["before"])
            and (said["permitted"] is None or one.workload_dag_id in said["permitted"])
        )

    wanted = sorted(
        (one for one in written if meant(one)),
        key=lambda one: (one.created_at, one.job_id),
        reverse=sort is Sort.NEWEST,
    )
    pages = followed(runs, **query)
    assert names(pages) == [one.job_id for one in wanted]
    assert all(len(page) == limit for page in pages[:-1])
    assert [one for page in pages for one in page] == [RunSummary.of(one) for one in wanted]


@pytest.mark.parametrize("sort", Sort)
def test_what_is_opened_between_two_pages_shifts_nothing(
    mongo_database: Database[dict[str, Any]], sort: Sort
) -> None:
    runs = RunRepository(mongo_database)
    for number in range(6):
        runs.open(run(number, number))
    first = runs.search(RunQuery(limit=3, sort=sort))
    for number, minute in ((10, 99), (11, -99)):
        runs.open(run(number, minute))
    seen = [one.job_id for one in first.runs]
    rest = followed_from(runs, first.next_cursor, sort)
    assert len(set(seen + rest)) == len(seen + rest)
    assert {run(number).job_id for number in range(6)} <= set(seen + rest)


def followed_from(runs: RunRepository, cursor: str | None, sort: Sort) -> list[str]:
    found: list[str] = []
    while cursor is not None:
        page = runs.search(RunQuery(limit=3, sort=sort, cursor=cursor))
        found += [one.job_id for one in page.runs]
        cursor = page.next_cursor
    return found


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 0},
        {"limit": 201},
        {"cursor": "nonsense"},
        {"cursor": "Ä"},
        {"cursor": "eyJhIjoxfQ"},
        {"status": "ended"},
        {"created_after": "2026-03-02T09:30:00"},
        {"created_after": START, "created_before": START},
        {"sort": "status"},
        {"novelty": 1},
    ],
)
def test_a_query_that_means_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RunQuery(**wrong)


def test_a_moment_within_a_millisecond_is_not_rounded_down(mongo_database: Database[dict[str, Any]]) -> None:
    runs = RunRepository(mongo_database)
    runs.open(run(1))
    within = START + timedelta(microseconds=500)
    assert runs.search(RunQuery(created_after=within)).runs == []
    assert len(runs.search(RunQuery(created_before=within)).runs) == 1


def test_the_workloads_of_all_runs_are_told_once_each(mongo_database: Database[dict[str, Any]]) -> None:
    runs = RunRepository(mongo_database)
    for number in range(12):
        runs.open(run(number, client_id="a" if number % 3 else "z"))
    assert runs.workload_dag_ids() == [
        "flywheel__a__w0",
        "flywheel__a__w1",
        "flywheel__z__w0",
        "flywheel__z__w1",
    ]


MOST_MS = 50.0


def test_any_list_of_a_thousand_runs_takes_less_than_50_ms(mongo_database: Database[dict[str, Any]]) -> None:
    """Pages of the usual length, of whole runs as they stand after their verdict; the median of seven."""
    runs = RunRepository(mongo_database)
    runs.ensure_indexes()
    mongo_database["runs"].insert_many(thousand())
    cursor = runs.search(RunQuery(limit=200)).next_cursor
    permitted = tuple(runs.workload_dag_ids()[:3])
    queries: dict[str, dict[str, Any]] = {
        "first": {},
        "next": {"cursor": cursor},
        "oldest": {"sort": Sort.OLDEST},
        "client": {"client_id": "c1"},
        "client and workload": {"client_id": "c1", "workload_id": "w1", "cursor": cursor},
        "status": {"status": RunStatus.FAILED},
        "time": {"created_after": START + timedelta(hours=5)},
        "permitted": {"permitted": permitted, "cursor": cursor},
        "none": {"client_id": "nobody"},
    }
    took = {name: statistics.median(took_ms(runs, RunQuery(**said))) for name, said in queries.items()}
    assert {name: ms for name, ms in took.items() if ms >= MOST_MS} == {}


def thousand() -> list[dict[str, Any]]:
    resolved = resolve({"client_id": "c", "workload_id": "w", "config_name": "starter"}, None)
    heavy = {
        "resolved": resolved.model_dump(mode="json"),
        "decision": {"candidates": [{"nim": f"n{n}", "interval": [0.1, 0.2]} for n in range(60)]},
        "dataset": {"ledger": {"records_read": 1000, "eval": 100}, "files": [{"name": "f" * 40}] * 10},
        "events": ["2026-03-02T09:30:00.000+00:00 something happened that is worth a line"] * 20,
    }
    rows = [stored(run(number, number, **heavy).model_dump(mode="json")) for number in range(1000)]
    random.Random(7).shuffle(rows)
    return rows


def took_ms(runs: RunRepository, query: RunQuery) -> list[float]:
    times = []
    for _ in range(7):
        began = time.perf_counter()
        runs.search(query)
        times.append(1000 * (time.perf_counter() - began))
    return times

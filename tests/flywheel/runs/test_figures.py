"""Counts over all runs, as a monitor reads them."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.database import Database

from include.flywheel.runs.documents import RunDocument
from include.flywheel.runs.figures import LastVerdict, RunFigures
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import RunStatus


@pytest.fixture
def figures(mongo_database: Database[dict[str, Any]]) -> RunFigures:
    return RunFigures(mongo_database)


def write(database: Database[dict[str, Any]], number: int, status: RunStatus, **fields: Any) -> RunDocument:
    return RunRepository(database).open(
        RunDocument(
            job_id=f"{number:024x}",
            dag_id="flywheel__acme__desk",
            run_id=f"r{number}",
            client_id="acme",
            workload_id="desk",
            status=status,
            created_at=f"2026-03-02T09:{number:02d}:00.000+00:00",
            **fields,
        )
    )


def test_without_runs_there_is_nothing_to_count(figures: RunFigures) -> None:
    assert figures.by_status() == dict.fromkeys(RunStatus, 0)
    assert figures.oldest_live() is None
    assert figures.last_verdict("acme", "desk") is None


def test_runs_are_counted_by_status(mongo_database: Database[dict[str, Any]], figures: RunFigures) -> None:
    for number, status in enumerate([RunStatus.RUNNING, RunStatus.FAILED, RunStatus.FAILED]):
        write(mongo_database, number, status)
    counted = {status: count for status, count in figures.by_status().items() if count}
    assert counted == {RunStatus.RUNNING: 1, RunStatus.FAILED: 2}


def test_the_oldest_live_run_may_wait_or_run(
    mongo_database: Database[dict[str, Any]], figures: RunFigures
) -> None:
    write(mongo_database, 1, RunStatus.COMPLETED)
    running = write(mongo_database, 3, RunStatus.RUNNING)
    assert figures.oldest_live() == running.created_at
    pending = write(mongo_database, 2, RunStatus.PENDING)
    assert figures.oldest_live() == pending.created_at


def test_the_last_verdict_is_that_of_the_newest_completed_run_of_the_workload(
    mongo_database: Database[dict[str, Any]], figures: RunFigures
) -> None:
    write(mongo_database, 1, RunStatus.COMPLETED, decision={"verdict": "REJECTED"})
    newest = write(mongo_database, 2, RunStatus.COMPLETED, decision={"verdict": "PROMOTABLE"})
    write(mongo_database, 3, RunStatus.FAILED)
    assert figures.last_verdict("acme", "desk") == LastVerdict(
        "acme", "desk", newest.job_id, "PROMOTABLE", newest.created_at
    )
    assert figures.last_verdict("acme", "orders") is None

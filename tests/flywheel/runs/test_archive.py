"""Which runs need attention, which have grown old, and which must stay."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.database import Database

from include.flywheel.runs.archive import RunArchive
from include.flywheel.runs.documents import NimDocument, RunDocument
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import RunStatus

DAY = "2026-01-{:02}T00:00:00.000+00:00"


@pytest.fixture
def archive(mongo_database: Database[dict[str, Any]]) -> RunArchive:
    return RunArchive(mongo_database)


@pytest.fixture
def runs(mongo_database: Database[dict[str, Any]]) -> RunRepository:
    return RunRepository(mongo_database)


def write(runs: RunRepository, job_id: str, day: int, status: RunStatus, **fields: Any) -> RunDocument:
    at = DAY.format(day)
    over = {"finished_at": at, "everything_down_at": at} if status.is_over else {}
    fields = {"workload_id": "w", "created_at": at} | over | fields
    document = RunDocument(job_id=job_id, dag_id="d", run_id=job_id, client_id="c", status=status, **fields)
    runs.open_nims([NimDocument(job_id=job_id, nim="n", slug="n", order=0)])
    return runs.open(document)


def test_only_an_empty_collection_is_empty(archive: RunArchive, runs: RunRepository) -> None:
    assert archive.is_empty()
    write(runs, "a", 1, RunStatus.FAILED)
    assert not archive.is_empty()


def test_unfinished_is_what_goes_on_or_was_not_seen_down(archive: RunArchive, runs: RunRepository) -> None:
    for status in RunStatus:
        write(runs, status.value, 1, status)
        write(runs, f"{status.value} up", 1, status, everything_down_at=None)
    names = [one.job_id for one in archive.unfinished()]
    live = {"pending", "pending up", "running", "running up"}
    assert set(names) == live | {"completed up", "failed up", "cancelled up"}
    assert len(names) == len(set(names))


def test_old_is_what_was_over_and_down_before(archive: RunArchive, runs: RunRepository) -> None:
    write(runs, "old", 1, RunStatus.FAILED)
    write(runs, "old too", 2, RunStatus.COMPLETED)
    write(runs, "young", 9, RunStatus.FAILED)
    write(runs, "leaking", 1, RunStatus.FAILED, everything_down_at=None)
    write(runs, "goes on", 1, RunStatus.RUNNING)
    assert set(archive.over_since(DAY.format(5))) == {"old", "old too"}


def test_the_newest_completed_run_of_a_workload_stays(archive: RunArchive, runs: RunRepository) -> None:
    older = write(runs, "older", 1, RunStatus.COMPLETED)
    newest = write(runs, "newest", 2, RunStatus.COMPLETED)
    failed = write(runs, "failed", 3, RunStatus.FAILED)
    other = write(runs, "other", 1, RunStatus.COMPLETED, workload_id="another")
    stay = {run.job_id for run in (older, newest, failed, other) if archive.must_stay(run)}
    assert stay == {"newest", "other"}


def test_a_deleted_run_leaves_nothing(archive: RunArchive, runs: RunRepository) -> None:
    write(runs, "gone", 1, RunStatus.FAILED)
    write(runs, "kept", 1, RunStatus.FAILED)
    for _ in range(2):
        archive.delete("gone")
    assert (runs.find("gone"), runs.nims("gone")) == (None, [])
    assert runs.find("kept") is not None
    assert len(runs.nims("kept")) == 1

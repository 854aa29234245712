"""The stores of the pipeline, behind their connections, in a database of the test's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo.database import Database

from include.flywheel.runs import ids
from include.flywheel.runs.documents import NimDocument, RunDocument, now
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import RunStatus
from include.stores import leases as stores_leases
from include.stores import runs as stores_runs


@pytest.fixture
def runs(
    mongo_uri: str, mongo_database: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunRepository]:
    """The repository that tasks and triggers open."""
    place = urlsplit(mongo_uri)
    connection = {
        "conn_type": "mongo",
        "host": place.hostname,
        "port": place.port,
        "schema": mongo_database.name,
    }
    monkeypatch.setenv("AIRFLOW_CONN_FLYWHEEL_RUNS", json.dumps(connection))
    stores_runs._open.cache_clear()
    stores_leases._open.cache_clear()
    yield RunRepository(mongo_database)
    stores_runs._open.cache_clear()
    stores_leases._open.cache_clear()


@pytest.fixture
def open_run(runs: RunRepository) -> Callable[..., RunRepository]:
    """Opens the run `r` of `flywheel_x` with NIMs of these names by slug."""

    def opened(nims: dict[str, str], **fields: Any) -> RunRepository:
        job_id = ids.job_id("flywheel_x", "r")
        names = {"dag_id": "flywheel_x", "run_id": "r", "client_id": "c", "workload_id": "w"}
        runs.open(RunDocument(job_id=job_id, **names, status=RunStatus.RUNNING, created_at=now(), **fields))
        runs.open_nims(
            NimDocument(job_id=job_id, nim=name, slug=slug, order=order)
            for order, (slug, name) in enumerate(nims.items())
        )
        return runs

    return opened

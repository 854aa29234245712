"""A repository on the MongoDB wire, with one run of two NIMs in it."""

from __future__ import annotations

from typing import Any

import pytest
from pymongo.database import Database

from include.flywheel.runs.documents import NimDocument, RunDocument
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import RunStatus

JOB = "0123456789abcdef01234567"


@pytest.fixture
def repository(mongo_database: Database[dict[str, Any]]) -> RunRepository:
    runs = RunRepository(mongo_database)
    runs.ensure_indexes()
    fields = {"dag_id": "flywheel__acme__desk", "run_id": "r", "client_id": "acme", "workload_id": "desk"}
    created = "2026-03-02T09:30:00.000+00:00"
    runs.open(RunDocument(job_id=JOB, status=RunStatus.RUNNING, created_at=created, **fields))
    runs.open_nims(NimDocument(job_id=JOB, nim=f"meta/{s}", slug=s, order=n) for n, s in enumerate("ab"))
    return runs

"""A run as it stands in the repository, and a console that is no terminal."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from pymongo.database import Database
from rich.console import Console

from include.flywheel.runs.documents import NimDocument, RunDocument
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import RunStatus

JOB = "0123456789abcdef01234567"


@pytest.fixture
def runs(mongo_database: Database[dict[str, Any]]) -> RunRepository:
    repository = RunRepository(mongo_database)
    repository.ensure_indexes()
    return repository


@pytest.fixture
def written(runs: RunRepository) -> Callable[..., str]:
    """`written(status=…, error=…)` opens a run with these fields and two NIMs; returns its job id."""

    def write(**changes: Any) -> str:
        fields: dict[str, Any] = {
            "job_id": JOB,
            "dag_id": "flywheel__acme__desk",
            "run_id": "manual__[1]",
            "client_id": "acme",
            "workload_id": "desk",
            "status": RunStatus.RUNNING,
            "created_at": "2026-01-01T00:00:00.000+00:00",
        }
        runs.open(RunDocument(**(fields | changes)))
        for order, name in enumerate(("meta/small", "meta/large")):
            runs.open_nims([NimDocument(job_id=JOB, nim=name, slug=name.replace("/", "-"), order=order)])
        return JOB

    return write


@pytest.fixture
def console() -> Console:
    """Writes into `console.file`, as into a pipe."""
    return Console(file=StringIO(), width=200, highlight=False, soft_wrap=True)

"""An empty ledger, and processes that compete for its GPUs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from include.flywheel.runs.leases.repository import LeaseRepository

Competitor = subprocess.Popen[str]


@pytest.fixture
def leases(mongo_database: Database[dict[str, Any]]) -> LeaseRepository:
    repository = LeaseRepository(mongo_database)
    repository.ensure_indexes()
    return repository


@pytest.fixture
def compete(mongo_uri: str, mongo_database: Database[dict[str, Any]]) -> Iterator[Callable[..., Competitor]]:
    """Starts a competitor; `uri` leads it another way to the same server."""
    started: list[Competitor] = []

    def start(job_id: str, *, nims: int, gpus: int, total: int, uri: str = mongo_uri) -> Competitor:
        script = str(Path(__file__).with_name("competitor.py"))
        words = [uri, mongo_database.name, job_id, str(nims), str(gpus), str(total)]
        process = subprocess.Popen([sys.executable, script, *words], stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()

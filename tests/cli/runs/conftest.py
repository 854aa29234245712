"""Runs on a MongoDB wire, a fake Airflow on a port of its own, and the commands about runs."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo.database import Database

from include.cli import progress, runs_act
from include.cli import runs as command
from include.flywheel.runs.documents import NimDocument, RunDocument, Stage
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import RunStatus, StageName
from include.stores import leases as lease_store
from include.stores import runs as run_store

DAG = "flywheel__acme__desk"
JOBS = ["0a" * 12, "0b" * 12, "ff" * 12]
Said = Callable[..., tuple[int, str, str]]


def fake_module() -> Any:
    name = "tests_fakes_airflow_rest"
    path = Path(__file__).resolve().parents[2] / "fakes" / "airflow_rest.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Clients are kept for the process; pauses are for people."""
    monkeypatch.setattr(progress, "_REFRESH_SECONDS", 0.01)
    monkeypatch.setattr(runs_act, "_POLL_SECONDS", 0.01)
    for store in (run_store, lease_store):
        store._open.cache_clear()
    yield
    for store in (run_store, lease_store):
        store._open.cache_clear()


@pytest.fixture
def runs(
    mongo_uri: str, mongo_database: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> RunRepository:
    address = urlsplit(mongo_uri)
    fields = {"conn_type": "mongo", "host": address.hostname, "port": address.port}
    fields |= {"login": address.username, "password": address.password, "schema": mongo_database.name}
    monkeypatch.setenv("AIRFLOW_CONN_FLYWHEEL_RUNS", json.dumps(fields))
    return run_store.open_runs()


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with fake_module().FakeAirflow() as fake:
        fields = {"conn_type": "http", "host": fake.url, "login": fake.user, "password": fake.password}
        monkeypatch.setenv("AIRFLOW_CONN_AIRFLOW_API", json.dumps(fields))
        yield fake


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Said:
    """`say("show", "latest")`: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = command.main(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def write(runs: RunRepository) -> Callable[..., RunDocument]:
    """`write(JOBS[1], status=…)` opens a run with these fields and one NIM."""

    def write(job: str = JOBS[0], **changes: Any) -> RunDocument:
        fields = {
            "job_id": job,
            "dag_id": DAG,
            "run_id": f"manual__{job[:2]}",
            "client_id": "acme",
            "workload_id": "desk",
            "status": RunStatus.RUNNING,
            "created_at": f"2026-03-0{JOBS.index(job) + 1}T09:00:00.000+00:00",
        }
        document = RunDocument(**(fields | changes))
        stages = {StageName.DEPLOY: Stage()}
        runs.open_nims([NimDocument(job_id=job, nim="meta/a", slug="meta-a", order=0, stages=stages)])
        return runs.open(document)

    return write

"""The listener notes when a person marked a run failed, and nothing else."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo import MongoClient

from include.flywheel.runs import ids
from include.flywheel.runs.documents import RunDocument, now
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import RunStatus
from include.pipeline import listener
from include.stores import runs as stores_runs


@pytest.fixture
def runs(mongo_uri: str, monkeypatch: pytest.MonkeyPatch) -> RunRepository:
    """The repository behind the connection, in a database of the test's own."""
    place = urlsplit(mongo_uri)
    database = f"listener_{id(monkeypatch):x}"
    connection = {"conn_type": "mongo", "host": place.hostname, "port": place.port, "schema": database}
    monkeypatch.setenv("AIRFLOW_CONN_FLYWHEEL_RUNS", json.dumps(connection))
    stores_runs._open.cache_clear()
    client: MongoClient[dict[str, Any]] = MongoClient(mongo_uri)
    yield RunRepository(client[database])
    client.drop_database(database)
    stores_runs._open.cache_clear()


def opened(runs: RunRepository, status: RunStatus) -> SimpleNamespace:
    dag_run = SimpleNamespace(dag_id="flywheel_on_demand", run_id=f"run-{status}")
    runs.open(
        RunDocument(
            job_id=ids.job_id(dag_run.dag_id, dag_run.run_id),
            dag_id=dag_run.dag_id,
            run_id=dag_run.run_id,
            client_id="c",
            workload_id="w",
            status=status,
            created_at=now(),
        )
    )
    return dag_run


def noted(runs: RunRepository, dag_run: SimpleNamespace) -> bool:
    return runs.get(ids.job_id(dag_run.dag_id, dag_run.run_id)).cancel_requested_at is not None


def test_a_run_marked_failed_by_hand_was_asked_to_end(runs: RunRepository) -> None:
    dag_run = opened(runs, RunStatus.RUNNING)
    listener.on_dag_run_failed(dag_run, "Dag Run's state was manually set to `failed`.")
    assert noted(runs, dag_run)


def test_a_run_that_failed_by_itself_was_not(runs: RunRepository) -> None:
    dag_run = opened(runs, RunStatus.RUNNING)
    listener.on_dag_run_failed(dag_run, "task_failure")
    assert not noted(runs, dag_run)


def test_a_run_that_is_over_stays_as_it_is(runs: RunRepository) -> None:
    dag_run = opened(runs, RunStatus.COMPLETED)
    listener.on_dag_run_failed(dag_run, "Dag Run's state was manually set to `failed`.")
    assert not noted(runs, dag_run)


def test_a_dead_database_does_not_fail_the_persons_request(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    connection = {"conn_type": "mongo", "host": "127.0.0.1", "port": 9, "schema": "x"}
    connection["extra"] = {"serverSelectionTimeoutMS": 200}  # type: ignore[assignment]
    monkeypatch.setenv("AIRFLOW_CONN_FLYWHEEL_RUNS", json.dumps(connection))
    stores_runs._open.cache_clear()
    dag_run = SimpleNamespace(dag_id="flywheel_on_demand", run_id="r")
    listener.on_dag_run_failed(dag_run, "Dag Run's state was manually set to `failed`.")
    stores_runs._open.cache_clear()
    assert "could not note" in caplog.text


def test_other_dags_are_none_of_its_business(runs: RunRepository) -> None:
    listener.on_dag_run_failed(SimpleNamespace(dag_id="sales_report", run_id="r"), "manually set to failed")
    assert runs.find(ids.job_id("sales_report", "r")) is None

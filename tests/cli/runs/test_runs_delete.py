"""Delete from the command line: what is refused, what is left, and that it goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from include.flywheel.runs.documents import RunDocument
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import RunStatus
from include.stores import upkeep

DAG = "flywheel__acme__desk"
Said = Callable[..., tuple[int, str, str]]
Write = Callable[..., RunDocument]


@pytest.fixture(autouse=True)
def _places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free_port: Callable[[], int]) -> None:
    """A staging folder, and a NeMo that is not there."""
    upkeep._open.cache_clear()
    url = f"http://127.0.0.1:{free_port()}"
    extra = {"data_store_url": url, "nim_proxy_url": f"{url}/nim"}
    monkeypatch.setenv("AIRFLOW_CONN_NEMO", json.dumps({"conn_type": "nemo", "host": url, "extra": extra}))
    monkeypatch.setenv("AIRFLOW_VAR_FLYWHEEL_STAGING_URL", tmp_path.as_uri())


def test_what_is_left_is_listed_and_the_run_stays(
    runs: RunRepository, write: Write, say: Said, airflow: Any
) -> None:
    run = write(status=RunStatus.FAILED)
    airflow.states[DAG, run.run_id] = "failed"
    code, out, _ = say("delete", "latest")
    assert code == 1
    lines = out.splitlines()
    assert [line.strip().partition(":")[0] for line in lines[1:-1]] == [
        "deployments",
        "customization jobs",
        "evaluation jobs",
        "GPU leases",
        "customized models",
        "data set",
    ]
    assert f"delete {run.job_id}" in lines[-1]
    deletion = runs.get(run.job_id).deletion
    assert deletion is not None
    assert len(deletion.left) == 6


def test_a_run_at_work_is_refused(runs: RunRepository, write: Write, say: Said, airflow: Any) -> None:
    run = write()
    for state in ("running", "success"):
        airflow.states[DAG, run.run_id] = state
        code, _, error = say("delete", "latest")
        assert (code, "cancel it first" in error) == (1, True)
    assert runs.get(run.job_id).deletion is None


def test_a_run_that_is_being_removed_is_not_retried(
    runs: RunRepository, write: Write, say: Said, airflow: Any
) -> None:
    run = write(status=RunStatus.FAILED)
    airflow.states[DAG, run.run_id] = "failed"
    runs.begin_deletion(run.job_id, "ann", ["all"])
    assert "being removed" in say("retry", "latest")[2]

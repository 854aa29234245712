"""Cancel and retry from the command line: what Airflow is asked, what is noted, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from include.flywheel.runs.documents import RunDocument
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import NimStatus, RunStatus

DAG = "flywheel__acme__desk"
Said = Callable[..., tuple[int, str, str]]
Write = Callable[..., RunDocument]


def asked(airflow: Any) -> list[tuple[str, Any]]:
    """What would change something, and its body."""
    return [
        (one.method, one.body) for one in airflow.requests if one.method != "GET" and "token" not in one.path
    ]


def test_cancel_marks_failed_and_waits_until_everything_is_down(
    runs: RunRepository, write: Write, say: Said, airflow: Any
) -> None:
    run = write()
    airflow.states[DAG, run.run_id] = "running"

    def teardown(*_: str) -> None:
        runs.set_status(
            run.job_id,
            RunStatus.CANCELLED,
            everything_down_at="2026-03-01T09:05:00.000+00:00",
            error="by hand",
        )

    airflow.afterwards = teardown
    code, out, _ = say("cancel", "latest")
    assert code == 0
    assert asked(airflow) == [("PATCH", {"state": "failed"})]
    assert out.splitlines()[-1] == "cancelled; nothing of it ran after 2026-03-01 09:05:00 (UTC)"
    assert runs.get(run.job_id).events[-1].endswith("cancel asked from the command line")


def test_a_cancel_that_is_not_waited_for_notes_that_it_was_asked(
    runs: RunRepository, write: Write, say: Said, airflow: Any
) -> None:
    run = write()
    airflow.states[DAG, run.run_id] = "queued"
    assert say("cancel", "latest", "--wait", "0")[0] == 0
    assert runs.get(run.job_id).cancel_requested_at is not None


def test_a_cancel_whose_end_is_not_seen_says_so(
    runs: RunRepository, write: Write, say: Said, airflow: Any
) -> None:
    run = write()
    airflow.states[DAG, run.run_id] = "running"
    code, out, _ = say("cancel", "latest", "--wait", "0.05")
    assert code == 1
    assert f"show {run.job_id}" in out.splitlines()[-1]


def test_what_is_over_or_unknown_to_airflow_is_not_cancelled(
    runs: RunRepository, write: Write, say: Said, airflow: Any
) -> None:
    run = write()
    assert "upkeep" in say("cancel", "latest")[2]
    airflow.states[DAG, run.run_id] = "success"
    assert "nothing to cancel" in say("cancel", "latest")[2]
    assert asked(airflow) == []
    assert runs.get(run.job_id).cancel_requested_at is None


def failed(runs: RunRepository, airflow: Any, write: Write) -> RunDocument:
    run = write(status=RunStatus.FAILED, resolved={"seed": 1}, dataset_uri="hf://d")
    runs.set_nim_status(run.job_id, "meta-a", NimStatus.FAILED, error="why")
    airflow.states[DAG, run.run_id] = "failed"
    return run


@pytest.mark.parametrize("more", [[], ["--nim", "meta/a"], ["--nim", "meta-a"]])
def test_retry_clears_what_is_not_done_and_notes_it(
    runs: RunRepository, write: Write, say: Said, airflow: Any, more: list[str]
) -> None:
    run = failed(runs, airflow, write)
    code, out, _ = say("retry", "latest", *more)
    assert code == 0
    [(method, body)] = asked(airflow)
    assert (method, body["task_ids"]) == ("POST", [["nim.customize", 0], ["nim.deploy", 0]])
    assert (body["dag_run_id"], body["only_failed"], body["include_downstream"]) == (run.run_id, False, True)
    assert "meta/a" in out
    assert f"7 task instances run again; `watch {run.job_id}`" in out
    assert "paused" not in out
    assert "retry asked from the command line: again" in runs.get(run.job_id).events[-1]


def test_retry_of_a_paused_dag_says_that_it_will_not_begin(
    runs: RunRepository, write: Write, say: Said, airflow: Any
) -> None:
    failed(runs, airflow, write)
    airflow.paused.add(DAG)
    assert "is paused" in say("retry", "latest")[1]


def test_retry_refuses_what_goes_on_and_what_is_gone(
    runs: RunRepository, write: Write, say: Said, airflow: Any
) -> None:
    run = failed(runs, airflow, write)
    airflow.states[DAG, run.run_id] = "running"
    assert "still at work" in say("retry", "latest")[2]
    del airflow.states[DAG, run.run_id]
    assert "start a new run" in say("retry", "latest")[2]
    assert "has no NIM 'meta/z'" in say("retry", "latest", "--nim", "meta/z")[2]
    assert asked(airflow) == []
    assert runs.get(run.job_id).events == []


@pytest.mark.parametrize("name", ["cancel", "retry"])
def test_without_airflow_it_says_how_to_reach_it(
    runs: RunRepository, write: Write, say: Said, name: str
) -> None:
    write()
    code, _, error = say(name, "latest")
    assert code == 1
    assert "AIRFLOW_CONN_AIRFLOW_API" in error

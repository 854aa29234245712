"""What is taken down, what is repaired, and what is never touched."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.flywheel.runs import ids
from include.flywheel.runs.documents import RunDocument, now
from include.flywheel.runs.states import NimStatus, RunStatus, StageName, StageStatus
from include.flywheel.runs.upkeep_reports import Action
from include.pipeline.upkeep.reconcile import Life, Reconciler, life_of

SLUG = "meta-llama-3.2-1b-instruct"
EVERYTHING = {"deployment", "evaluation", "dataset", "files", "staging", "lease"}
LATER = timedelta(minutes=11)


def pass_over(plot: Any, *, dry_run: bool = False, later: timedelta = LATER) -> Any:
    made = plot.journal(dry_run=dry_run, later=later)
    Reconciler(made, plot.is_live, timedelta(minutes=10)).run()
    return made.report


def actions(report: Any) -> dict[str, Action]:
    return {row.kind: row.action for row in report.rows}


@pytest.fixture
def orphan(plot: Any) -> str:
    """A run of which everything is left and nothing is written down; another run is written down."""
    plot.write_run("other", RunStatus.COMPLETED, everything_down_at=now())
    job_id = ids.job_id("flywheel_gone", "r")
    plot.leave_everything(job_id)
    return job_id


def test_everything_of_a_run_without_document_goes(plot: Any, orphan: str) -> None:
    report = pass_over(plot)
    assert plot.left(orphan) == set()
    assert actions(report) == dict.fromkeys(
        ("deployment", "evaluation", "lease", "staging", "dataset"), Action.REMOVED
    )
    assert {row.run for row in report.rows} == {orphan}
    assert all(row.age_seconds >= 600 for row in report.rows)
    assert pass_over(plot).rows == []


def test_a_dry_run_says_the_same_and_changes_nothing(plot: Any, orphan: str) -> None:
    dry = pass_over(plot, dry_run=True)
    assert plot.left(orphan) == EVERYTHING
    assert set(actions(dry).values()) == {Action.WOULD_REMOVE}
    real = pass_over(plot)
    assert [row.key for row in real.rows] == [row.key for row in dry.rows]


def test_what_is_young_may_be_a_submit_in_flight(plot: Any, orphan: str) -> None:
    assert pass_over(plot, later=timedelta(minutes=9)).rows == []
    assert plot.left(orphan) == EVERYTHING


def test_without_any_run_written_down_the_database_is_doubted(plot: Any) -> None:
    job_id = ids.job_id("flywheel_gone", "r")
    plot.leave_everything(job_id)
    report = pass_over(plot)
    assert set(actions(report).values()) == {Action.FAILED}
    assert "flywheel_runs" in report.rows[0].error
    assert plot.left(job_id) == EVERYTHING


def test_a_live_run_is_never_touched(plot: Any) -> None:
    for name, status in (("goes on", RunStatus.RUNNING), ("ends", RunStatus.COMPLETED)):
        job_id = plot.write_run(name, status)
        plot.live.add(("flywheel_x", name))
        plot.leave_everything(job_id)
    assert pass_over(plot, later=timedelta(days=400)).rows == []
    assert plot.left(ids.job_id("flywheel_x", "goes on")) == EVERYTHING
    assert plot.left(ids.job_id("flywheel_x", "ends")) == EVERYTHING


def test_what_carries_no_name_of_ours_is_never_touched(plot: Any) -> None:
    plot.write_run("other", RunStatus.COMPLETED, everything_down_at=now())
    job_id = ids.job_id("flywheel_gone", "r")
    plot.deploy(job_id, name="theirs")
    plot.deploy(job_id, name=f"fw-{job_id[:8]}-x", project="run-of-theirs")
    plot.evaluate("run-12")
    plot.stage("train")
    plot.stage(job_id.upper())
    assert pass_over(plot, later=timedelta(days=400)).rows == []
    names = {row["name"] for row in plot.http.get("/v1/deployment/model-deployments").json()["data"]}
    assert names == {"theirs", f"fw-{job_id[:8]}-x"}


def test_a_run_that_lost_its_dag_run_is_ended(plot: Any) -> None:
    job_id = plot.write_run("lost")
    plot.runs.set_stage(job_id, SLUG, StageName.BASE_EVAL, status=StageStatus.RUNNING.value)
    plot.leave_everything(job_id)
    report = pass_over(plot, later=timedelta())
    assert actions(report)["run"] is Action.REPAIRED
    run, nim = plot.runs.get(job_id), plot.runs.nim(job_id, SLUG)
    assert run.status is RunStatus.FAILED
    assert "DAG run" in run.error
    assert run.everything_down_at
    assert (nim.status, nim.stages[StageName.BASE_EVAL].status) == (NimStatus.FAILED, StageStatus.FAILED)
    assert "application" in run.notification["error"]
    assert any("upkeep" in event for event in run.events)
    # The data set grows old with its run.
    assert plot.left(job_id) == {"dataset", "files"}
    assert pass_over(plot).rows == []


def test_a_lost_run_that_was_to_be_cancelled_is_cancelled(plot: Any) -> None:
    job_id = plot.write_run("lost", cancel_requested_at=now())
    pass_over(plot)
    assert plot.runs.get(job_id).status is RunStatus.CANCELLED
    assert plot.runs.nim(job_id, SLUG).status is NimStatus.CANCELLED


def test_a_run_that_was_over_before_it_was_down_keeps_its_end(plot: Any) -> None:
    job_id = plot.write_run("over", RunStatus.COMPLETED, notification={"delivered": True})
    plot.leave_everything(job_id)
    pass_over(plot)
    run = plot.runs.get(job_id)
    assert (run.status, run.error) == (RunStatus.COMPLETED, None)
    assert run.everything_down_at
    assert plot.runs.nim(job_id, SLUG).status is NimStatus.PENDING
    assert plot.left(job_id) == {"dataset", "files", "staging"}


def test_a_job_that_came_after_the_end_is_cancelled(plot: Any) -> None:
    job_id = plot.write_run("over", RunStatus.CANCELLED, everything_down_at=now(), finished_at=now())
    plot.evaluate(ids.project(job_id))
    assert actions(pass_over(plot)) == {"evaluation": Action.REMOVED}
    assert plot.left(job_id) == set()


def test_what_cannot_be_removed_is_in_the_report_and_the_others_go(plot: Any, orphan: str) -> None:
    lost = plot.write_run("lost")
    plot.lease(lost)
    fault = {"method": "DELETE", "path_regex": f"/flywheel/fw-{orphan[:8]}"}
    _fault(plot, fault | {"status": 403})
    report = pass_over(plot)
    failed = [row for row in report.rows if row.action is Action.FAILED]
    assert {row.run for row in failed} == {orphan}
    assert all("undeploy" in row.error for row in failed)
    # The GPUs are not given to others while the deployment holds them.
    assert plot.left(orphan) & {"deployment", "evaluation", "lease"} == {"deployment", "lease"}
    assert plot.runs.get(lost).status is RunStatus.FAILED
    assert plot.left(lost) == set()


def test_a_service_that_does_not_answer_keeps_no_lost_run_from_being_seen(plot: Any, orphan: str) -> None:
    _fault(plot, {"method": "GET", "path_regex": "/v1/evaluation/jobs", "status": 403})
    report = pass_over(plot)
    assert actions(report)["evaluation"] is Action.FAILED
    assert report.rows[0].name == "all"
    plot.http.delete("/_local/faults").raise_for_status()
    assert "lease" in plot.left(orphan)


def test_a_document_of_another_version_stops_nothing_else(plot: Any) -> None:
    strange, lost = plot.write_run("strange"), plot.write_run("lost")
    plot.database["runs"].update_one({"job_id": strange}, {"$set": {"novelty": 1}})
    plot.stage(strange)
    report = pass_over(plot)
    assert {(row.run, row.action) for row in report.rows} == {
        (strange, Action.FAILED),
        (lost, Action.REPAIRED),
    }
    assert plot.left(strange) == {"staging"}


def test_without_a_connection_to_nemo_leases_of_lost_runs_stay(
    plot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = plot.write_run("lost")
    plot.lease(job_id)
    monkeypatch.delenv("AIRFLOW_CONN_NEMO")
    report = pass_over(plot)
    assert {row.action for row in report.rows} == {Action.FAILED}
    assert {row.kind for row in report.rows} >= {"deployment", "dataset", "lease", "run"}
    assert [one.job_id for one in plot.leases.held()] == [job_id]
    assert plot.runs.get(job_id).status is RunStatus.RUNNING


def _fault(plot: Any, fault: dict[str, Any]) -> None:
    plot.http.post("/_local/faults", json=fault).raise_for_status()


STATUSES = st.sampled_from(RunStatus)


@given(status=STATUSES, down=st.none() | st.just("2026-01-01T00:00:00.000+00:00"), live=st.booleans())
def test_a_run_that_airflow_works_on_is_live_whatever_is_written(
    status: RunStatus, down: str | None, live: bool
) -> None:
    document = RunDocument(
        job_id="j",
        dag_id="d",
        run_id="r",
        client_id="c",
        workload_id="w",
        created_at=now(),
        status=status,
        everything_down_at=down,
    )
    life = life_of(document, live_in_airflow=live)
    assert (life is Life.LIVE) == live
    if not live:
        assert (life is Life.BROKEN) == (not status.is_over)
        assert life is not Life.UNWRITTEN

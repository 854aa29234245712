"""What is removed by age, and what stays whatever its age."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.flywheel.config.workload import DIRECTORY_VARIABLE
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import Stage
from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.store import LogQuery
from include.flywheel.runs.retention import LogRetention, Retention, WorkloadLogs
from include.flywheel.runs.states import RunStatus
from include.flywheel.runs.upkeep_reports import Action, UpkeepReports
from include.pipeline.upkeep.retain import Retainer
from include.stores.jobs import open_idempotency_keys

FOR_EVER = Retention(staging_days=None, datasets_days=None, runs_days=None, reports_days=None)
DAYS = Retention(staging_days=2, datasets_days=90, runs_days=365, reports_days=None)


def pass_over(plot: Any, retention: Retention = DAYS, *, dry_run: bool = False) -> Any:
    made = plot.journal(dry_run=dry_run)
    Retainer(made, plot.is_live, retention).run()
    return made.report


def ended(plot: Any, name: str, days_ago: float, status: RunStatus = RunStatus.FAILED, **fields: Any) -> str:
    at = (datetime.now(UTC) - timedelta(days=days_ago)).isoformat(timespec="milliseconds")
    fields = {"created_at": at, "finished_at": at, "everything_down_at": at} | fields
    job_id: str = plot.write_run(name, status, **fields)
    return job_id


def rows(report: Any) -> set[tuple[str, str | None, Action]]:
    return {(row.kind, row.run, row.action) for row in report.rows}


@pytest.fixture(autouse=True)
def no_workloads(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "workloads"
    folder.mkdir()
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(folder))


def test_each_kind_has_its_own_age(plot: Any) -> None:
    staged = {days: ended(plot, f"staged {days}", days) for days in (1, 3)}
    uploaded = {}
    for days in (80, 100):
        uploaded[days] = ended(plot, f"uploaded {days}", days)
        plot.runs.update(uploaded[days], dataset_uri=plot.upload(uploaded[days]), dataset={"ledger": {}})
    old = {days: ended(plot, f"old {days}", days) for days in (360, 370)}
    for job_id in staged.values():
        plot.stage(job_id)
    assert rows(pass_over(plot)) == {
        ("staging", staged[3], Action.REMOVED),
        ("dataset", uploaded[100], Action.REMOVED),
        ("run", old[370], Action.REMOVED),
    }
    assert (plot.left(staged[1]), plot.left(staged[3])) == ({"staging"}, set())
    assert (plot.left(uploaded[80]), plot.left(uploaded[100])) == ({"dataset", "files"}, set())
    # Where it was stays written down: a retry that built another one would mix their scores.
    run = plot.runs.get(uploaded[100])
    assert (run.dataset_uri is not None, run.dataset) == (True, {"ledger": {}})
    assert any("removed the data set" in event for event in run.events)
    assert plot.runs.find(old[370]) is None
    assert plot.runs.nims(old[370]) == []
    assert plot.runs.find(old[360]) is not None
    assert pass_over(plot).rows == []


def test_a_dry_run_says_the_same_and_changes_nothing(plot: Any) -> None:
    job_id = ended(plot, "old", 400)
    plot.runs.update(job_id, dataset_uri=plot.upload(job_id))
    plot.stage(job_id)
    dry = pass_over(plot, dry_run=True)
    assert {row.action for row in dry.rows} == {Action.WOULD_REMOVE}
    assert {row.kind for row in dry.rows} == {"staging", "dataset", "run"}
    assert plot.left(job_id) == {"dataset", "files", "staging"}
    assert [row.key for row in pass_over(plot).rows] == [row.key for row in dry.rows]


def test_null_keeps_for_ever(plot: Any) -> None:
    job_id = ended(plot, "ancient", 9000)
    plot.runs.update(job_id, dataset_uri=plot.upload(job_id))
    plot.stage(job_id)
    assert pass_over(plot, FOR_EVER).rows == []


def test_a_run_goes_with_its_nims_and_item_scores_and_leaves_the_others_alone(plot: Any) -> None:
    gone, kept = ended(plot, "old", 400), ended(plot, "young", 10)
    scores = StageScores(
        nim="n", model="m", stage=Stage.BASE, scores={"s": [1.0]}, item_ids=["1"], conversation_ids=["1"]
    )
    for job_id in (gone, kept):
        plot.runs.save_scores(job_id, "slug", scores)
    pass_over(plot)
    assert (plot.runs.scores(gone), len(plot.runs.scores(kept))) == ([], 1)
    assert plot.runs.find(kept) is not None


def test_the_newest_completed_run_and_that_of_a_champion_stay(plot: Any) -> None:
    champion = ended(plot, "champion", 500, RunStatus.COMPLETED)
    passed = ended(plot, "passed", 450, RunStatus.COMPLETED)
    newest = ended(plot, "newest", 400, RunStatus.COMPLETED)
    other = ended(plot, "other", 600, RunStatus.COMPLETED, workload_id="another")
    plot.database["champions"].insert_one({"client_id": "c", "workload_id": "w", "job_id": champion})
    assert rows(pass_over(plot)) == {("run", passed, Action.REMOVED)}
    assert all(plot.runs.find(job_id) for job_id in (champion, newest, other))


def test_nothing_of_a_live_run_is_old(plot: Any) -> None:
    job_id = ended(plot, "cleared", 400)
    plot.runs.update(job_id, dataset_uri=plot.upload(job_id))
    plot.stage(job_id)
    plot.live.add(("flywheel_x", "cleared"))
    assert pass_over(plot).rows == []


def test_what_is_not_down_is_not_old(plot: Any) -> None:
    ended(plot, "leaking", 400, everything_down_at=None)
    assert pass_over(plot).rows == []


def test_reports_grow_old(plot: Any) -> None:
    reports = UpkeepReports(plot.database)
    for name, at in (("old", "2020-01-01T00:00:00.000+00:00"), ("new", "2999-01-01T00:00:00.000+00:00")):
        reports.save(reports.open(name, dry_run=False).model_copy(update={"started_at": at}))
    [row] = pass_over(plot, Retention(reports_days=90)).rows
    assert (row.kind, row.name) == ("report", "1 reports")
    assert [one["report_id"] for one in plot.database["upkeep"].find({})] == ["new"]


def test_idempotency_keys_grow_old(plot: Any) -> None:
    keys = open_idempotency_keys()
    for key in ("old", "new"):
        keys.claim("caller", key, "digest", "run")
    (old, new) = (one["_id"] for one in plot.database["idempotency_keys"].find({}))
    plot.database["idempotency_keys"].update_one(
        {"_id": old}, {"$set": {"created_at": "2020-01-01T00:00:00.000+00:00"}}
    )
    [row] = pass_over(plot).rows
    assert (row.kind, row.name) == ("idempotency key", "1 keys")
    assert [one["_id"] for one in plot.database["idempotency_keys"].find({})] == [new]


def test_logs_go_by_workload_in_whole_days(plot: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "logs").mkdir()
    connection = {"conn_type": "fs", "extra": {"path": str(tmp_path / "logs")}}
    monkeypatch.setenv("AIRFLOW_CONN_FLYWHEEL_LOGS", json.dumps(connection))
    store = FileLogStore(tmp_path / "logs")
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for workload in ("short", "kept"):
        for days in (1, 30, 31):
            at = int((today - timedelta(days=days) + timedelta(hours=1)).timestamp() * 1000)
            store.append([{"timestamp": at, "client_id": "c", "workload_id": workload}])
    logs = LogRetention(workloads=(WorkloadLogs(client_id="c", workload_id="short", days=30),))
    retention = FOR_EVER.model_copy(update={"logs": logs})
    assert rows(pass_over(plot, retention, dry_run=True)) == {("logs", None, Action.WOULD_REMOVE)}
    [row] = pass_over(plot, retention).rows
    assert (row.name, row.action) == ("c/short", Action.REMOVED)
    assert row.reason == "1 records are older than 30 days"
    assert store.count(LogQuery(client_id="c", workload_id="short")) == 2
    assert store.count(LogQuery(client_id="c", workload_id="kept")) == 3


def test_a_log_store_that_is_not_there_stops_nothing_else(plot: Any) -> None:
    job_id = ended(plot, "old", 400)
    logs = LogRetention(workloads=(WorkloadLogs(client_id="c", workload_id="w", days=30),))
    report = pass_over(plot, DAYS.model_copy(update={"logs": logs}))
    assert rows(report) == {("run", job_id, Action.REMOVED), ("logs", None, Action.FAILED)}
    assert "flywheel_logs" in next(row.error for row in report.rows if row.kind == "logs")


def test_a_document_of_another_version_stops_nothing_else(plot: Any) -> None:
    strange, old = ended(plot, "strange", 400), ended(plot, "old", 400)
    plot.database["runs"].update_one({"job_id": strange}, {"$set": {"novelty": 1}})
    report = pass_over(plot)
    assert rows(report) == {("run", old, Action.REMOVED), ("run", None, Action.FAILED)}
    assert next(row.name for row in report.rows if row.error) == strange

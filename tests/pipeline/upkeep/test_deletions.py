"""Upkeep goes on with removals that somebody asked for and that are not done."""

from __future__ import annotations

from typing import Any

from include.flywheel.runs.documents import now
from include.flywheel.runs.states import RunStatus
from include.flywheel.runs.upkeep_reports import Action, Report
from include.pipeline.upkeep.deletions import finish_deletions
from include.stores.removal import remove_run


def half_deleted(plot: Any, name: str = "gone") -> str:
    """A run whose data set could not be removed."""
    job_id: str = plot.write_run(name, RunStatus.FAILED, finished_at=now(), everything_down_at=now())
    plot.upload(job_id)
    plot.stage(job_id)
    fault = {"path_regex": "^/v1/hf/", "status": 503}
    plot.http.post("/_local/faults", json=fault).raise_for_status()
    assert remove_run(job_id, "ann", dag_run_is_over=True).left
    return job_id


def passed(plot: Any, *, dry_run: bool = False) -> Report:
    journal = plot.journal(dry_run=dry_run)
    finish_deletions(journal, plot.is_live)
    return journal.report


def rows(report: Report) -> list[tuple[str, str | None, Action]]:
    return [(row.kind, row.run, row.action) for row in report.rows]


def test_it_tries_again_until_nothing_is_left(plot: Any) -> None:
    job_id = half_deleted(plot)
    [row] = passed(plot).rows
    assert (row.action, "data set" in str(row.error)) == (Action.FAILED, True)
    assert plot.runs.get(job_id).deletion.requested_by == "ann"
    plot.http.delete("/_local/faults").raise_for_status()
    assert rows(passed(plot, dry_run=True)) == [("run", job_id, Action.WOULD_REMOVE)]
    assert plot.runs.find(job_id) is not None
    assert rows(passed(plot)) == [("run", job_id, Action.REMOVED)]
    assert (plot.runs.find(job_id), plot.left(job_id)) == (None, set())
    assert passed(plot).rows == []


def test_what_airflow_works_on_and_what_nobody_asked_for_stays(plot: Any) -> None:
    job_id, other = half_deleted(plot), plot.write_run("other", RunStatus.FAILED)
    plot.http.delete("/_local/faults").raise_for_status()
    plot.live.add(("flywheel_x", "gone"))
    assert passed(plot).rows == []
    assert plot.left(job_id) >= {"dataset"}
    plot.live.clear()
    assert rows(passed(plot)) == [("run", job_id, Action.REMOVED)]
    assert plot.runs.find(other) is not None

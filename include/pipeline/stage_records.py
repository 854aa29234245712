"""What a stage's wait writes into the run's document, and what it gives back when it failed."""

from __future__ import annotations

import logging
from typing import Any

from include.flywheel.errors import FlywheelError
from include.flywheel.runs.documents import now
from include.flywheel.runs.leases.model import LeaseKind
from include.flywheel.runs.states import StageName, StageStatus
from include.nemo.errors import NemoError
from include.nemo.progress import JobProgress
from include.pipeline.leases import KINDS, release
from include.pipeline.run import Run
from include.pipeline.undeploy import end_stage
from include.stores.runs import open_runs

log = logging.getLogger(__name__)


def run_of(extra: dict[str, Any]) -> Run:
    """The run of a trigger, from what its task passed on."""
    runs = open_runs()
    document = runs.get(extra["job_id"])
    return Run(document.job_id, document.dag_id, document.run_id, runs, extra["pass_number"])


def record_progress(extra: dict[str, Any], progress: JobProgress) -> None:
    """Status, percentage and the service's words, unless the stage is over."""
    runs = open_runs()
    job_id, slug, stage = extra["job_id"], extra["slug"], StageName(extra["stage"])
    fields: dict[str, Any] = {"detail": progress.reason, "progress_percent": progress.percentage}
    if progress.figures:
        # Who sees the end may be told less than who saw the work: what was measured stays.
        fields["figures"] = dict(progress.figures)
    if not progress.state.is_terminal:
        waiting = progress.state in {"created", "pending"}
        fields["status"] = (StageStatus.PENDING if waiting else StageStatus.RUNNING).value
        if not waiting and runs.stage(job_id, slug, stage).started_at is None:
            fields["started_at"] = now()
    else:
        fields |= {"status": _end(progress).value, "finished_at": now()}
        if not progress.state.ok:
            fields["error"] = progress.reason or f"ended as {progress.state}"
    runs.set_live_stage(job_id, slug, stage, **fields)
    if stage is StageName.CUSTOMIZE and progress.state.is_terminal:
        # At once, and by who sees the end: somebody else may train on these GPUs.
        release(runs, job_id, slug, LeaseKind.TRAINING, extra["pass_number"])


def record_failure(extra: dict[str, Any], reason: str) -> None:
    """Why the wait failed: the reason with its remedy takes the place of the service's own words.

    What the stage holds is given back.
    """
    runs = open_runs()
    job_id, slug, stage = extra["job_id"], extra["slug"], StageName(extra["stage"])
    runs.set_live_stage(job_id, slug, stage, status=StageStatus.FAILED.value, finished_at=now())
    runs.set_stage(job_id, slug, stage, error=reason)
    runs.note(job_id, f"{slug} {stage.value}: {reason}")
    give_up(run_of(extra), slug, stage)


def give_up(run: Run, slug: str, stage: StageName) -> None:
    """End what a failed stage has left: its GPUs go to others at once. `undeploy` ends what is left then."""
    if stage not in KINDS:
        return
    try:
        end_stage(run, slug, stage)
    except (FlywheelError, NemoError) as error:
        log.warning("left to `undeploy`: %s", error)


def _end(progress: JobProgress) -> StageStatus:
    if progress.state.ok:
        return StageStatus.COMPLETED
    return StageStatus.CANCELLED if progress.state == "cancelled" else StageStatus.FAILED

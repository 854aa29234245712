"""The end of a run whose own last task could not write it."""

from __future__ import annotations

from include.flywheel.runs.documents import now
from include.flywheel.runs.repository import REFERENCE
from include.flywheel.runs.states import NimStatus, RunStatus, StageName, StageStatus
from include.pipeline.notify import tell_the_rest
from include.pipeline.run import Run


def finish(run: Run, why: str) -> None:
    """Write how the run ended, if that is open, and tell the application, if nobody did.

    Cancelled where somebody asked for the end, else failed, with the first reason that is written down.
    """
    document = run.runs.get(run.job_id)
    if not document.status.is_over:
        cancelled = document.cancel_requested_at is not None
        error = "the run was marked failed by hand" if cancelled else document.error or why
        status = RunStatus.CANCELLED if cancelled else RunStatus.FAILED
        run.runs.set_status(run.job_id, status, error=error, finished_at=now())
        _finish_nims(run, NimStatus(status.value), error)
    run.runs.note(run.job_id, f"upkeep took everything down: {why}")
    document = run.runs.get(run.job_id)
    tell_the_rest(run, document)


def _finish_nims(run: Run, status: NimStatus, error: str) -> None:
    stages = [(REFERENCE, StageName.REFERENCE_EVAL)] if run.runs.get(run.job_id).reference else []
    for nim in run.runs.nims(run.job_id):
        run.runs.set_nim_status(run.job_id, nim.slug, status, error=error)
        stages += [(nim.slug, stage) for stage in nim.stages]
    for slug, stage in stages:
        ended = {"status": StageStatus(status.value).value, "error": error, "finished_at": now()}
        run.runs.set_live_stage(run.job_id, slug, stage, **ended)

"""What a stage's wait writes into the run's document, whatever ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import TaskFailedEvent

from include.airflow_nemo.triggers import NemoJobTrigger
from include.flywheel.runs.documents import now
from include.flywheel.runs.leases.model import LeaseKind
from include.flywheel.runs.states import StageName, StageStatus
from include.nemo.progress import JobProgress
from include.pipeline.leases import release
from include.pipeline.run import show
from include.pipeline.writing import until_written
from include.stores.runs import open_runs

if TYPE_CHECKING:
    from airflow.triggers.base import TriggerEvent


class StageTrigger(NemoJobTrigger):
    """Writes what it sees of a stage into the run's document.

    `extra`: `job_id`, `slug`, `stage`, `pass_number`.
    """

    _end: JobProgress | None = None

    async def on_progress(self, progress: JobProgress) -> None:
        """Called at each change."""
        self._end = progress if progress.state.is_terminal else None
        await asyncio.to_thread(record_progress, self.extra, progress)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yields the one event of the wait; what it says is written down first, whatever its cause."""
        async for event in super().run():
            if self._end is not None:
                # Once more: the store may have been away when the end was seen.
                await until_written(self.log, record_progress, self.extra, self._end)
            if isinstance(event, TaskFailedEvent):
                reason = str((event.xcoms or {}).get("error"))
                await until_written(self.log, record_failure, self.extra, reason)
                show(reason, self.log)
            yield event


def record_progress(extra: dict[str, Any], progress: JobProgress) -> None:
    """Status, percentage and the service's words, unless the stage is over."""
    runs = open_runs()
    job_id, slug, stage = extra["job_id"], extra["slug"], StageName(extra["stage"])
    fields: dict[str, Any] = {"detail": progress.reason, "progress_percent": progress.percentage}
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
        # At once: the task that does it for certain starts seconds later.
        release(runs, job_id, slug, LeaseKind.TRAINING, extra["pass_number"])


def record_failure(extra: dict[str, Any], reason: str) -> None:
    """Why the wait failed: the reason with its remedy takes the place of the service's own words."""
    runs = open_runs()
    job_id, slug, stage = extra["job_id"], extra["slug"], StageName(extra["stage"])
    runs.set_live_stage(job_id, slug, stage, status=StageStatus.FAILED.value, finished_at=now())
    runs.set_stage(job_id, slug, stage, error=reason)
    runs.note(job_id, f"{slug} {stage.value}: {reason}")


def _end(progress: JobProgress) -> StageStatus:
    if progress.state.ok:
        return StageStatus.COMPLETED
    return StageStatus.CANCELLED if progress.state == "cancelled" else StageStatus.FAILED

"""The removal of a run: what is elsewhere first, its own document last.

Every step may be repeated, and the run's document says that its removal was asked for before anything is
removed: whoever is killed at any line leaves a run that the next delete, or upkeep, finds and goes on with.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from include.flywheel.errors import FlywheelError
from include.flywheel.runs.archive import RunArchive
from include.flywheel.runs.documents import RunDocument
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import StepName

# Longer than the last tasks of a run take, however often the notification is tried.
_LAST_TASKS_TAKE = timedelta(hours=1)
_POLL_SECONDS = 0.25


class NotRemoved(FlywheelError):
    """Something of a run could not be removed; the message says why."""


@dataclass(frozen=True)
class Part:
    """A kind of thing that a run leaves behind. `remove` raises NotRemoved, and may be repeated.

    `frees`: with what holds GPUs. `only_when_freed`: not before all of those parts are gone.
    """

    words: str
    remove: Callable[[], object]
    frees: bool = False
    only_when_freed: bool = False


@dataclass(frozen=True)
class Removed:
    """What became of a removal; `left` is empty when nothing of the run is there any more."""

    job_id: str
    left: list[str] = field(default_factory=list)

    @property
    def message(self) -> str:
        """The same for people."""
        if not self.left:
            return f"run {self.job_id} is removed: nothing of it is left"
        return (
            f"run {self.job_id} is not removed yet, its documents stay until all else is gone. Left: "
            f"{'; '.join(self.left)}. Delete it again, or leave it to the hourly upkeep"
        )


def remove(
    runs: RunRepository, archive: RunArchive, job_id: str, requested_by: str, parts: Sequence[Part]
) -> Removed:
    """Remove the parts in their order, then the run's documents if nothing is left of the others.

    Raises StateError where there is no such run, or it is live.
    """
    runs.begin_deletion(job_id, requested_by, [part.words for part in parts])
    left: list[str] = []
    holds_gpus = False
    for part in parts:
        why = _attempt(part, holds_gpus=holds_gpus)
        if why is not None:
            left.append(f"{part.words}: {why}")
            holds_gpus = holds_gpus or part.frees
    if not left:
        archive.delete(job_id)
        return Removed(job_id)
    runs.end_deletion_try(job_id, left)
    # Another delete may have finished meanwhile: it saw all of it gone.
    return Removed(job_id, [] if runs.find(job_id) is None else left)


def last_tasks(runs: RunRepository, job_id: str, deadline: float, *, dag_run_is_over: bool) -> Part:
    """Waits until the run's last tasks, which write into its documents, are done.

    A run is completed at its verdict, before the application is told. `deadline`: of `time.monotonic`.
    """

    def wait() -> None:
        while not dag_run_is_over:
            document = runs.find(job_id)
            if document is None or not _may_have_tasks(document, datetime.now(UTC)):
                return
            if time.monotonic() > deadline:
                raise NotRemoved("its last tasks in Airflow are still at work")
            time.sleep(_POLL_SECONDS)

    return Part("documents of the run", wait)


def _may_have_tasks(run: RunDocument, at: datetime) -> bool:
    """Whether the task that closes the run may still come. None comes where the cluster died."""
    ended = run.finished_at or run.created_at
    closed = run.steps.get(StepName.CLOSE_RUN)
    if closed is not None and closed.finished_at is not None and closed.finished_at >= ended:
        return False
    return at - datetime.fromisoformat(ended) < _LAST_TASKS_TAKE


def _attempt(part: Part, *, holds_gpus: bool) -> str | None:
    if part.only_when_freed and holds_gpus:
        return "what is left may still hold its GPUs"
    try:
        part.remove()
    except NotRemoved as error:
        return str(error)
    return None

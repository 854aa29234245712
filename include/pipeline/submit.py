"""Submit a remote job once, however often the task runs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol, TypeVar

from airflow.sdk.exceptions import AirflowFailException

from include.flywheel.runs.documents import Stage, now
from include.flywheel.runs.states import StageName, StageStatus
from include.nemo.states import JobState
from include.pipeline.run import Run

log = logging.getLogger(__name__)


class RemoteJob(Protocol):
    """What every kind of remote job has."""

    @property
    def id(self) -> str | None: ...

    @property
    def state(self) -> JobState: ...


J = TypeVar("J", bound=RemoteJob)


def job_fields(slug: str, stage: StageName, attempt: int) -> dict[str, str]:
    """Custom fields by which the job of a stage is found again; its project is the run."""
    return {"nim": slug, "stage": stage.value, "attempt": str(attempt)}


class ClosedGuard:
    """Tells a submit that its NIM was closed while it created something.

    `undeploy` marks the NIM closed before it looks for what to remove, so whatever it could not see yet was
    created by a submit that reads the mark afterwards. The run's last tasks sweep once more.
    """

    def __init__(self, run: Run, slug: str) -> None:
        self._run = run
        self._slug = slug
        run.refuse_if_closed(slug)

    def close_if_needed(self, remove: Callable[[], object]) -> None:
        """Call after creating. Removes it again, and fails the task, if the NIM was closed meanwhile."""
        try:
            self._run.refuse_if_closed(self._slug)
        except AirflowFailException as closed:
            remove()
            raise AirflowFailException(f"{closed}; what was created meanwhile was removed again") from None


def submit_once(
    run: Run,
    slug: str,
    stage: StageName,
    *,
    find: Callable[[int], list[J]],
    create: Callable[[int], J],
    cancel: Callable[[str], object],
    uri: Callable[[str], str],
) -> str:
    """Id of the stage's job: the one that exists, else a new one. `find` and `create` get the attempt number,
    `cancel` and `uri` (where people find it) the job's id.

    The number stands in the run's document and is raised only when the job found has failed or was cancelled
    in an earlier pass: what fails in this one is not tried again by itself.
    """
    guard = ClosedGuard(run, slug)
    before = run.runs.stage(run.job_id, slug, stage)
    if (known := submitted(before)) is not None:
        return known
    attempt = before.attempt
    found = find(attempt)
    if found and found[0].state.is_terminal and not found[0].state.ok:
        log.info("job %s of attempt %d ended as %s: a new attempt", found[0].id, attempt, found[0].state)
        run.runs.raise_attempt(run.job_id, slug, stage, attempt)
        attempt += 1
        found = find(attempt)
    if found:
        log.info("job %s exists already", found[0].id)
        job = found[0]
    else:
        run.runs.set_stage(
            run.job_id,
            slug,
            stage,
            status=StageStatus.PENDING.value,
            attempt=attempt,
            error=None,
            detail=None,
        )
        job = create(attempt)
        log.info("created job %s", job.id)
    if job.id is None:
        raise AirflowFailException(f"the service answered a {stage.value} job without an id; look at its log")
    remote_id = job.id
    say_submitted(run, slug, stage, remote_id, uri(remote_id))
    guard.close_if_needed(lambda: cancel(remote_id))
    return remote_id


def submitted(stage: Stage) -> str | None:
    """Id of what was submitted in this pass. However it ended: who waits for it says so."""
    return stage.remote_id if stage.submitted_at else None


def say_submitted(run: Run, slug: str, stage: StageName, remote_id: str, uri: str) -> None:
    """Write down what was submitted, and when."""
    run.runs.set_live_stage(
        run.job_id,
        slug,
        stage,
        status=StageStatus.SUBMITTED.value,
        remote_id=remote_id,
        remote_uri=uri,
        submitted_at=now(),
    )

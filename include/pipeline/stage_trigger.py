"""Waits for a stage in the triggerer: for its GPUs, or what else must be before it; then for its work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException
from airflow.triggers.base import TaskFailedEvent
from pymongo.errors import PyMongoError

from include.airflow_nemo.errors import NemoTaskError
from include.airflow_nemo.outcomes import given
from include.airflow_nemo.triggers import NemoJobTrigger
from include.flywheel.errors import FlywheelError, LeaseRefused
from include.flywheel.runs.documents import Stage
from include.flywheel.runs.leases.model import LeaseAnswer, LeaseRequest
from include.flywheel.runs.states import StageName
from include.nemo.errors import NemoError
from include.nemo.progress import JobProgress
from include.pipeline.embedding import NotDownYet
from include.pipeline.leases import ask, leave_line
from include.pipeline.run import show
from include.pipeline.stage_records import record_failure, record_progress, run_of
from include.pipeline.stages import submit_stage
from include.pipeline.submit import submitted
from include.pipeline.writing import until_written
from include.stores.runs import open_runs

if TYPE_CHECKING:
    from airflow.triggers.base import TriggerEvent

# A free GPU costs as much as one at work: ask often. A question that changes nothing is one read.
_ASK_SECONDS = 0.5
_SUBMIT_AGAIN_SECONDS = 2.0
_PATIENCE_SECONDS = 600.0
_SAID_WELL = (FlywheelError, NemoError, NemoTaskError, AirflowFailException)


class TurnFailed(FlywheelError):
    """What must be before a stage did not come about; it has written down why itself."""


class StageTrigger(NemoJobTrigger):
    """Writes what it sees of a stage into the run's document.

    `extra`: `job_id`, `slug`, `stage`, `pass_number`.

    :param lease: the LeaseRequest as a dictionary, where the stage waits for GPUs; it is submitted here with
        the grant, and `job` is empty until then.
    :param lease_deadline_at: Unix time when waiting for the lease ends.
    :param after: a stage of the same NIM that must be over before this one is submitted, however it ended;
        waited for until `deadline_at`.
    :param first: arguments of another StageTrigger that must end well before this stage is submitted.
    """

    _end: JobProgress | None = None

    def __init__(
        self,
        *,
        lease: dict[str, Any] | None = None,
        lease_deadline_at: float = 0.0,
        first: dict[str, Any] | None = None,
        after: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.lease = lease
        self.lease_deadline_at = lease_deadline_at
        self.first = first
        self.after = after

    def arguments(self) -> dict[str, Any]:
        """What another process needs to build this trigger again."""
        mine = {"lease": self.lease, "lease_deadline_at": self.lease_deadline_at}
        return super().arguments() | mine | {"first": self.first, "after": self.after}

    async def on_progress(self, progress: JobProgress) -> None:
        """Called at each change."""
        self._end = progress if progress.state.is_terminal else None
        await asyncio.to_thread(record_progress, self.extra, progress)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yields the one event of the wait; what it says is written down first, whatever its cause."""
        try:
            await self._come_to_turn()
        except TurnFailed as error:
            yield TaskFailedEvent(xcoms={"error": str(error)})
            return
        except Exception as error:
            reason = str(error) if isinstance(error, _SAID_WELL) else f"{type(error).__name__}: {error}"
            yield await self._failed(TaskFailedEvent(xcoms={"error": reason}))
            return
        async for event in super().run():
            if self._end is not None:
                # Once more: the store may have been away when the end was seen.
                await until_written(self.log, record_progress, self.extra, self._end)
            yield await self._failed(event) if isinstance(event, TaskFailedEvent) else event

    async def on_kill(self) -> None:
        """Cancel the work, or leave the line, when somebody marks the task failed or clears it.

        `undeploy` does both for certain.
        """
        if given(self.job):
            await super().on_kill()
        elif self.lease is not None:
            await asyncio.to_thread(leave_line, LeaseRequest.model_validate(self.lease))

    async def _failed(self, event: TaskFailedEvent) -> TaskFailedEvent:
        reason = str((event.xcoms or {}).get("error"))
        await until_written(self.log, record_failure, self.extra, reason)
        show(reason, self.log)
        return event

    async def _come_to_turn(self) -> None:
        """Return once the stage's work is submitted: by a task before, by this trigger before, or now."""
        if given(self.job):
            return
        if not await self._was_submitted():
            if self.lease is not None:
                await self._until_leased(LeaseRequest.model_validate(self.lease))
            if self.after is not None:
                await self._until_over(StageName(self.after))
            if self.first is not None:
                await self._follow_first(StageTrigger(**self.first))
            await self._submit()
            await self._was_submitted()

    async def _was_submitted(self) -> bool:
        """Whether the run's document names the work; the deadline counts from when it was submitted.

        Asked before the lease: a training that has ended gave its GPUs back, and needs none again.
        """
        while True:
            try:
                document = await asyncio.to_thread(_document_of, self.extra)
            except PyMongoError as error:
                self.log.warning("MongoDB is away, asking again: %s", error)
                await asyncio.sleep(_SUBMIT_AGAIN_SECONDS)
                continue
            self.job = submitted(document) or ""
            if document.submitted_at and self.job:
                began = datetime.fromisoformat(document.submitted_at).timestamp()
                self.deadline_at = began + self.timeout_seconds
            return bool(self.job)

    async def _until_leased(self, request: LeaseRequest) -> None:
        """Ask until the lease is granted; survives a store that does not answer for a while."""
        said: str | None = None
        shown: str | None = None
        while True:
            try:
                answer = await asyncio.to_thread(ask, request, said)
            except LeaseRefused:
                raise
            except Exception as error:
                answer = LeaseAnswer(
                    reason=f"the leases cannot be read, asking again: {type(error).__name__}: {error}"
                )
            else:
                said = answer.reason
            if answer.reason != shown:
                self.log.info("%s", answer.reason)
                shown = answer.reason
            if answer.granted:
                return
            if time.time() > self.lease_deadline_at:
                raise LeaseRefused(
                    f"no GPUs for {request.slug} until the deadline: {answer.reason}; see which runs hold "
                    "them, or raise `gpus.total` or `waiting.lease_timeout_seconds` of the profile"
                )
            await asyncio.sleep(_ASK_SECONDS)

    async def _until_over(self, stage: StageName) -> None:
        """Wait for the end of another stage, which its own trigger writes down."""
        while True:
            try:
                document = await asyncio.to_thread(_document_of, self.extra | {"stage": stage.value})
            except PyMongoError as error:
                self.log.warning("MongoDB is away, asking again: %s", error)
            else:
                if document.status.is_over:
                    return
            if self.deadline_at is not None and time.time() > self.deadline_at:
                raise NemoTaskError(
                    f"{stage.value} was not over until the deadline; raise the profile's "
                    f"`waiting.evaluation_timeout_seconds`, or look at that task"
                )
            await asyncio.sleep(_ASK_SECONDS)

    async def _follow_first(self, first: StageTrigger) -> None:
        async for event in first.run():
            if isinstance(event, TaskFailedEvent):
                raise TurnFailed(str((event.xcoms or {}).get("error")))

    async def _submit(self) -> None:
        """Submit; again while a service or the store does not answer."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        stage = StageName(self.extra["stage"])
        while True:
            try:
                run = await asyncio.to_thread(run_of, self.extra)
                self.job = await asyncio.to_thread(submit_stage, run, self.extra["slug"], stage)
            except NotDownYet as error:
                if time.monotonic() > deadline:
                    raise
                self.log.info("%s", error)
                await asyncio.sleep(_ASK_SECONDS)
            except (NemoError, PyMongoError) as error:
                transient = not isinstance(error, NemoError) or error.transient
                if not transient or time.monotonic() > deadline:
                    raise
                self.log.warning("could not submit, trying again: %s", error)
                await asyncio.sleep(_SUBMIT_AGAIN_SECONDS)
            else:
                return


def _document_of(extra: dict[str, Any]) -> Stage:
    return open_runs().stage(extra["job_id"], extra["slug"], StageName(extra["stage"]))

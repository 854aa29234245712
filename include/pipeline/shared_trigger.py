"""Waits in the triggerer until a NIM that runs share is served, and deploys it where nobody has."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.triggers.base import TaskFailedEvent
from pymongo.errors import PyMongoError

from include.airflow_nemo.errors import NemoTaskError
from include.airflow_nemo.triggers import NemoJobTrigger
from include.flywheel.errors import FlywheelError, LeaseRefused
from include.flywheel.runs.shared import SharedNim
from include.nemo.errors import NemoError
from include.nemo.progress import JobProgress
from include.pipeline import shared_nims
from include.pipeline.run import Run, show
from include.pipeline.shared_nims import Wanted
from include.pipeline.writing import until_written
from include.stores.runs import open_runs

if TYPE_CHECKING:
    from airflow.triggers.base import TriggerEvent

T = TypeVar("T")

_ASK_SECONDS = 0.5
_SAID_WELL = (FlywheelError, NemoError, NemoTaskError)


class SharedNimTrigger(NemoJobTrigger):
    """Joins the users of a shared NIM, waits for its GPUs, deploys it and waits until it is served.

    Every step may be repeated: after a restart of the triggerer it begins anew and finds what it did. Writes
    how far the deployment is into the run's document, below the field that is called as the purpose.

    :param wanted: `Wanted` as a dictionary.
    :param turn_deadline_at: Unix time when waiting for GPUs ends.
    """

    def __init__(self, *, wanted: dict[str, Any], turn_deadline_at: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.wanted = wanted
        self.turn_deadline_at = turn_deadline_at
        self._wanted = Wanted.model_validate(wanted)

    def arguments(self) -> dict[str, Any]:
        """What another process needs to build this trigger again."""
        return super().arguments() | {"wanted": self.wanted, "turn_deadline_at": self.turn_deadline_at}

    async def on_progress(self, progress: JobProgress) -> None:
        """Called at each change."""
        await asyncio.to_thread(self._write, deployment_status=_word(progress))

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yields the one event of the wait. What failed is written down, and the NIM left to others."""
        try:
            await self._come_to_turn()
        except Exception as error:
            reason = str(error) if isinstance(error, _SAID_WELL) else f"{type(error).__name__}: {error}"
            yield await self._failed(TaskFailedEvent(xcoms={"error": reason}))
            return
        async for event in super().run():
            if isinstance(event, TaskFailedEvent):
                yield await self._failed(event)
            else:
                await until_written(self.log, self._written("ready"))
                yield event

    async def on_kill(self) -> None:
        """Leave the NIM when somebody marks the task failed or clears it; `close_run` does so for certain."""
        await asyncio.to_thread(self._leave)

    async def _come_to_turn(self) -> None:
        wanted = self._wanted
        if wanted.total is not None:
            await self._until(self._has_turn)
        nim: SharedNim = await self._until(lambda: shared_nims.join(wanted))
        await until_written(self.log, self._written("pending", deployment=nim.deployment))

        def gpus() -> bool:
            answer = shared_nims.ask_for_gpus(nim, wanted)
            self._say(answer.reason)
            return answer.granted or wanted.total is None

        await self._until(gpus)
        self.job = await self._until(lambda: shared_nims.deploy_shared(nim, wanted))
        self.deadline_at = time.time() + self.timeout_seconds

    def _has_turn(self) -> bool:
        wanted = self._wanted
        runs = open_runs()
        document = runs.get(wanted.job_id)
        run = Run(document.job_id, document.dag_id, document.run_id, runs, wanted.pass_number)
        waiting = shared_nims.waits_for_gpus(run, wanted.due)
        if waiting is not None:
            self._say(f"waits until {waiting} has its GPUs")
        return waiting is None

    async def _until(self, look: Callable[[], T | None]) -> T:
        """What `look` answers once it is neither None nor False; survives services that are away."""
        while True:
            try:
                answer = await asyncio.to_thread(look)
            except (NemoError, PyMongoError) as error:
                if isinstance(error, NemoError) and not error.transient:
                    raise
                self.log.warning("asking again: %s", error)
            else:
                if answer:
                    return answer
            if time.time() > self.turn_deadline_at:
                raise LeaseRefused(
                    f"no GPUs for {self._wanted.nim.name} ({self._wanted.purpose}) until the deadline: see "
                    "which runs hold them, or raise `gpus.total` or `waiting.lease_timeout_seconds`"
                )
            await asyncio.sleep(_ASK_SECONDS)

    async def _failed(self, event: TaskFailedEvent) -> TaskFailedEvent:
        reason = str((event.xcoms or {}).get("error"))
        await until_written(self.log, self._written("failed", error=reason))
        await asyncio.to_thread(self._leave)
        show(reason, self.log)
        return event

    def _written(self, status: str, **fields: Any) -> Callable[[], None]:
        return lambda: self._write(deployment_status=status, **fields)

    def _write(self, **fields: Any) -> None:
        open_runs().set_part(self._wanted.job_id, self._wanted.purpose, **fields)

    def _leave(self) -> None:
        try:
            shared_nims.leave(*self._wanted.key)
        except (FlywheelError, NemoError, PyMongoError) as error:
            self.log.warning("left to `close_run`: %s", error)

    def _say(self, text: str) -> None:
        if text != getattr(self, "_said", None):
            self._said = text
            self.log.info("%s", text)


def _word(progress: JobProgress) -> str:
    """The state in the words of the jobs API."""
    if progress.state.ok:
        return "ready"
    known = {"created", "pending", "running", "failed", "cancelled"}
    return str(progress.state) if progress.state in known else "unknown"

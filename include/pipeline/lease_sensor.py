"""Wait for GPUs before a NIM is customized, and before it is deployed: in the triggerer, without a worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException
from airflow.triggers.base import BaseTrigger, TaskFailedEvent, TaskSuccessEvent, TriggerEvent

from include.flywheel.errors import FlywheelError, LeaseRefused
from include.flywheel.runs.leases.model import LeaseKind, LeaseRequest
from include.pipeline.leases import STAGES, ask, begin, give_up, leave_line, request_for
from include.pipeline.prepare import load_config
from include.pipeline.run import NAME_TEMPLATE, nim_run, show, telling
from include.pipeline.writing import until_written

if TYPE_CHECKING:
    from airflow.sdk import Context

# A free GPU costs as much as one at work: ask often. A question that changes nothing is one read.
_POLL_SECONDS = 0.5
_GRACE_SECONDS = 60.0


class LeaseSensor(BaseOperator):
    """Waits until the GPUs of a NIM are leased to it, without a worker, and submits what they are for.

    Done at once where none are needed.

    :param nim: name and slug of the NIM.
    :param kind: `training` or `serving`.
    """

    template_fields = ("nim",)
    ui_color = "#f0e4d0"

    def __init__(self, *, nim: Any, kind: LeaseKind, **kwargs: Any) -> None:
        # Asking again is safe; a worker may be killed before it deferred.
        kwargs.setdefault("retries", 2)
        kwargs.setdefault("retry_delay", timedelta(seconds=2))
        super().__init__(map_index_template=NAME_TEMPLATE, **kwargs)
        self.nim = nim
        self.kind = kind

    def execute(self, context: Context) -> str:  # noqa: ARG002, RET503 - deferring does not return
        """Ask; wait in the triggerer where the answer is not yet. Skips what has nothing left to do."""
        run = nim_run(self.nim)
        slug = self.nim["slug"]
        if self.kind is LeaseKind.TRAINING:
            # The first task of a NIM: not any other, for those of its neighbours may be cleared meanwhile.
            run.runs.begin_nim_pass(run.job_id, slug, run.pass_number)
        with telling(run, slug, STAGES[self.kind]):
            request = request_for(run, slug, self.kind)
            if request is None:
                return "no GPUs to wait for"
            answer = ask(request)
            if answer.granted:
                begin(request)
                return answer.reason
        self.log.info("%s", answer.reason)
        self._defer(request, load_config(run).waiting.lease_timeout_seconds)

    def _defer(self, request: LeaseRequest, limit_seconds: float) -> NoReturn:
        self.defer(
            trigger=LeaseTrigger(request.model_dump(mode="json"), time.time() + limit_seconds),
            method_name="execute_complete",
            timeout=timedelta(seconds=limit_seconds + _GRACE_SECONDS),
        )

    def execute_complete(self, context: Context, event: Any = None) -> str:  # noqa: ARG002
        """End the task where the trigger could not (`dag.test`): `event` is "success" or "failed"."""
        if event == "failed":
            raise AirflowFailException("the GPUs were not leased: the log of the trigger says why")
        return "granted"


class LeaseTrigger(BaseTrigger):
    """Asks again until the lease is granted, and submits; survives a store that does not answer for a while.

    :param request: the LeaseRequest as a dictionary.
    :param deadline_at: Unix time when waiting ends.
    """

    def __init__(self, request: dict[str, Any], deadline_at: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.request = request
        self.deadline_at = deadline_at

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {"request": self.request, "deadline_at": self.deadline_at}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yields the one event of the wait; a failure is written down first."""
        request = LeaseRequest.model_validate(self.request)
        try:
            reason = await self._wait(request)
        except Exception as error:
            text = str(error) if isinstance(error, FlywheelError) else f"{type(error).__name__}: {error}"
            await until_written(self.log, give_up, request, text)
            show(text, self.log)
            yield TaskFailedEvent(xcoms={"error": text})
        else:
            await asyncio.to_thread(begin, request)
            yield TaskSuccessEvent(xcoms={"return_value": reason})

    async def on_kill(self) -> None:
        """Leave the line when somebody marks the task failed or clears it; `undeploy` does it for certain."""
        await asyncio.to_thread(leave_line, LeaseRequest.model_validate(self.request))

    async def _wait(self, request: LeaseRequest) -> str:
        said: str | None = None
        while True:
            try:
                answer = await asyncio.to_thread(ask, request, said)
            except LeaseRefused:
                raise
            except Exception as error:
                reason = f"the leases cannot be read, asking again: {type(error).__name__}: {error}"
            else:
                if answer.granted:
                    return answer.reason
                reason = answer.reason
            if reason != said:
                self.log.info("%s", reason)
                said = reason
            if time.time() > self.deadline_at:
                raise LeaseRefused(
                    f"no GPUs for {request.slug} until the deadline: {reason}; see which runs hold them, or "
                    "raise `gpus.total` or `waiting.lease_timeout_seconds` of the profile"
                )
            await asyncio.sleep(_POLL_SECONDS)

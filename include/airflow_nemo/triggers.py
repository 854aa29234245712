"""The trigger that waits for a deployment, an evaluation or a customization, and ends the task."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from airflow.triggers.base import BaseTrigger, TaskFailedEvent, TaskSuccessEvent, TriggerEvent

from include.airflow_nemo.errors import JobFailed, NemoTaskError
from include.airflow_nemo.hook import NemoHook
from include.airflow_nemo.links import RemoteJobLink
from include.airflow_nemo.outcomes import (
    NO_RESOURCES,
    describe,
    failure,
    given,
    lacks_resources,
    overdue,
    result_of,
)
from include.airflow_nemo.polling import Polling
from include.nemo import NO_RETRIES, AsyncNemoClient, JobProgress, JobState
from include.nemo.errors import (
    Conflict,
    Invalid,
    NemoError,
    NotFound,
    RateLimited,
    ServerError,
    UnexpectedAnswer,
)
from include.nemo.inference import list_models
from include.nemo.jobs import JobKind, cancel_call, progress_call, url_of

MISSING_POLLS = 3
"""How many times in a row NotFound is believed to be a replica that does not know the job yet."""


class NemoJobTrigger(BaseTrigger):
    """Polls until the work has ended, then ends the task itself: success or failure, no worker.

    Survives refused and broken connections, 429, 5xx, bodies that are no JSON, and state words that it
    does not know; only the deadline, a state that is final, or an error that waiting cannot mend ends
    it. On success the task returns a plain string: see `outcomes.result_of`.

    A subclass follows the work with `on_progress`, and finds in `extra` what its sensor passed on.

    :param nemo_conn_id: the connection.
    :param kind: "deployment", "evaluation" or "customization".
    :param job: the id of the job; `namespace/name` of a deployment.
    :param served_model: also wait until the NIM proxy lists this model; not by default.
    :param poll_seconds: seconds between polls at first and after each change; 10 by default.
    :param max_poll_seconds: the longest wait between polls, in seconds; 60 by default.
    :param timeout_seconds: seconds until the task fails; 6 hours by default.
    :param deadline_at: Unix time of the deadline; by default timeout_seconds after the trigger starts.
        Given by a task that defers, so that a restart of the triggerer does not begin anew.
    :param extra: whatever a subclass's `on_progress` needs, for example whose progress it is.
    """

    def __init__(
        self,
        *,
        nemo_conn_id: str = NemoHook.default_conn_name,
        kind: str,
        job: str,
        served_model: str | None = None,
        poll_seconds: float = 10.0,
        max_poll_seconds: float = 60.0,
        timeout_seconds: float = 6 * 3600.0,
        deadline_at: float | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.nemo_conn_id = nemo_conn_id
        self.kind = kind
        self.job = job
        self.served_model = served_model
        self.poll_seconds = poll_seconds
        self.max_poll_seconds = max_poll_seconds
        self.timeout_seconds = timeout_seconds
        self.deadline_at = deadline_at
        self.extra = dict(extra or {})

    def arguments(self) -> dict[str, Any]:
        """What another process needs to build this trigger again."""
        return {
            "nemo_conn_id": self.nemo_conn_id,
            "kind": self.kind,
            "job": self.job,
            "served_model": self.served_model,
            "poll_seconds": self.poll_seconds,
            "max_poll_seconds": self.max_poll_seconds,
            "timeout_seconds": self.timeout_seconds,
            "deadline_at": self.deadline_at,
            "extra": self.extra,
        }

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments."""
        return f"{type(self).__module__}.{type(self).__qualname__}", self.arguments()

    async def on_progress(self, progress: JobProgress) -> None:
        """Called at each change of state, percentage or reason, the last state included.

        For subclasses. Called again with the same progress after a restart of the triggerer. An
        exception raised here is logged and does not end the wait.
        """

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yields one TaskSuccessEvent or TaskFailedEvent, whatever happens, and nothing else."""
        try:
            event: TriggerEvent = await self._watch()
        except (NemoError, NemoTaskError) as error:
            self.log.error("%s", error)  # noqa: TRY400 - the message says it all; the traceback nothing
            event = TaskFailedEvent(xcoms={"error": str(error)})
        except Exception as error:
            self.log.exception("The wait for %s %s ended by an error of ours", self.kind, self.job)
            event = TaskFailedEvent(xcoms={"error": f"{type(error).__name__}: {error}"})
        yield event

    async def on_kill(self) -> None:
        """Cancel the work when somebody marks the task failed or clears it. Best effort."""
        try:
            call = cancel_call(JobKind(self.kind), self.job)
            async with await self._hook().async_client() as nemo:
                await nemo.send(call)
            self.log.info("Cancelled %s %s, because its task was ended", self.kind, self.job)
        except (NotFound, Conflict, Invalid) as error:
            self.log.info("Nothing left to cancel: %s", error)
        except Exception as error:
            self.log.warning("Could not cancel %s %s: %s", self.kind, self.job, error)

    def _hook(self) -> NemoHook:
        return NemoHook(self.nemo_conn_id)

    async def _watch(self) -> TriggerEvent:
        kind = _kind_of(self.kind)
        if not given(self.job):
            raise JobFailed(
                f"There is no {kind.value} to wait for: `job` is empty. Look at the log of the submit task."
            )
        polling = Polling(
            first=float(self.poll_seconds),
            longest=float(self.max_poll_seconds),
            deadline_at=self.deadline_at or time.time() + float(self.timeout_seconds),
        )
        hook = self._hook()
        async with await hook.async_client(retries=NO_RETRIES) as nemo:
            self.log.info("Waiting for %s %s", kind.value, url_of(nemo.urls, kind, self.job))
            watch = _Watch(self, nemo, kind, polling)
            progress = await watch.until_ended()
            link = {RemoteJobLink.key: url_of(nemo.urls, kind, self.job)}
        if not progress.state.ok:
            raise JobFailed(failure(kind, self.job, progress))
        returned = result_of(kind, self.job, given(self.served_model), progress)
        return TaskSuccessEvent(xcoms={"return_value": returned, "state": str(progress.state), **link})


class _Watch:
    """One wait: what was seen last, and what to make of what is seen next."""

    def __init__(
        self, trigger: NemoJobTrigger, nemo: AsyncNemoClient, kind: JobKind, polling: Polling
    ) -> None:
        self._trigger = trigger
        self._nemo = nemo
        self._kind = kind
        self._polling = polling
        self._log = trigger.log
        self._seen: JobProgress | None = None
        self._trouble: str | None = None
        self._missing = 0

    async def until_ended(self) -> JobProgress:
        """The last progress. Raises JobFailed at the deadline, NemoError where waiting cannot help."""
        while True:
            asked_seconds: float | None = None
            try:
                progress = await self._look()
            except NemoError as error:
                asked_seconds = self._bear(error)
            else:
                await self._report(progress)
                if progress.state.is_terminal:
                    return progress
            if self._polling.is_overdue:
                last_seen = describe(self._seen) if self._seen else "never"
                trouble = f"; the last poll failed: {self._trouble}" if self._trouble else ""
                job, limit = self._trigger.job, float(self._trigger.timeout_seconds)
                raise JobFailed(overdue(self._kind, job, limit, last_seen + trouble))
            await asyncio.sleep(self._polling.wait_seconds(asked_seconds))

    async def _look(self) -> JobProgress:
        progress = await self._nemo.send(progress_call(self._kind, self._trigger.job))
        wanted = given(self._trigger.served_model)
        if progress.state.ok and wanted:
            served = await self._nemo.send(list_models())
            if wanted not in {model.id for model in served}:
                reason = f"{progress.state}, but the NIM proxy does not list {wanted} yet"
                progress = JobProgress(state=JobState("running"), reason=reason, output=progress.output)
        self._missing, self._trouble = 0, None
        return progress

    def _bear(self, error: NemoError) -> float | None:
        """Take an error that may pass, or raise it. Returns the seconds that the service asked to wait."""
        if isinstance(error, NotFound):
            self._missing += 1
            may_pass = self._missing < MISSING_POLLS
        else:
            may_pass = error.transient or isinstance(error, UnexpectedAnswer)
        if not may_pass:
            raise error
        if str(error) != self._trouble:
            self._log.warning("Poll failed, trying again: %s", error)
        self._trouble = str(error)
        return error.retry_after_seconds if isinstance(error, RateLimited | ServerError) else None

    async def _report(self, progress: JobProgress) -> None:
        before = self._seen
        if before is not None and _gist(before) == _gist(progress):
            return
        self._seen = progress
        self._polling.changed()
        self._log.info("%s %s: %s", self._kind.value, self._trigger.job, describe(progress))
        if not progress.state.is_known and (before is None or before.state != progress.state):
            self._log.warning("Unknown state %r: taken as still going until the deadline", progress.state)
        if progress.state == "pending" and lacks_resources(progress):
            self._log.warning("It waits for resources. %s", NO_RESOURCES)
        try:
            await self._trigger.on_progress(progress)
        except Exception:
            self._log.exception("The progress could not be recorded; waiting goes on")


def _kind_of(kind: str) -> JobKind:
    try:
        return JobKind(kind)
    except ValueError:
        kinds = ", ".join(JobKind)
        raise JobFailed(f"kind is {kind!r}; give one of {kinds}") from None


def _gist(progress: JobProgress) -> tuple[object, ...]:
    return progress.state, progress.percentage, progress.reason

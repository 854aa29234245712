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
from include.airflow_nemo.outcomes import failure, given, result_of
from include.airflow_nemo.polling import Polling
from include.airflow_nemo.sharing import SharedClient
from include.airflow_nemo.watching import Watch, not_served_yet
from include.nemo import JobProgress, JobState, RetryPolicy
from include.nemo.errors import Conflict, Invalid, NemoError, NotFound
from include.nemo.inference import list_models
from include.nemo.jobs import JobKind, cancel_call, progress_call, url_of

GRACE_SECONDS = 120.0
"""How much later than the trigger's own deadline Airflow's deadline for the trigger is: it only catches
a trigger that no triggerer runs, and says less about why."""


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
            async with self._hook().shared_client() as nemo:
                await nemo.send(call, retries=RetryPolicy())
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
        limit = float(self.timeout_seconds)
        polling = Polling(
            first=float(self.poll_seconds),
            longest=float(self.max_poll_seconds),
            deadline_at=self.deadline_at or time.time() + limit,
        )
        async with self._hook().shared_client() as nemo:
            link = url_of(nemo.urls, kind, self.job)
            self.log.info("Waiting for %s %s", kind.value, link)
            progress = await self._follow(nemo, Watch(kind, self.job, limit, polling, self.log))
        returned = self._conclude(kind, progress)
        state = str(progress.state)
        return TaskSuccessEvent(xcoms={"return_value": returned, "state": state, RemoteJobLink.key: link})

    async def _follow(self, nemo: SharedClient, watch: Watch) -> JobProgress:
        """The last progress. Raises JobFailed at the deadline, NemoError where waiting cannot help."""
        while True:
            try:
                progress = await self._look(nemo)
            except NemoError as error:
                watch.bear(error)
            else:
                if watch.see(progress):
                    await self._tell(progress)
                if progress.state.is_terminal:
                    return progress
            watch.check_deadline()
            await asyncio.sleep(watch.wait_seconds())

    async def _look(self, nemo: SharedClient) -> JobProgress:
        progress = await nemo.send(progress_call(JobKind(self.kind), self.job))
        wanted = given(self.served_model)
        if progress.state.ok and wanted:
            served = await nemo.send(list_models())
            if wanted not in {model.id for model in served}:
                return not_served_yet(progress, wanted)
        return progress

    async def _tell(self, progress: JobProgress) -> None:
        try:
            await self.on_progress(progress)
        except Exception:
            self.log.exception("The progress could not be recorded; waiting goes on")

    def _conclude(self, kind: JobKind, progress: JobProgress) -> str:
        """What the task returns. Raises JobFailed for work that ended badly."""
        if not progress.state.ok:
            raise JobFailed(failure(kind, self.job, progress))
        return result_of(kind, self.job, given(self.served_model), progress)


class NemoRemovalTrigger(NemoJobTrigger):
    """Waits until a deployment that was told to go is gone; returns `namespace/name`.

    See NemoJobTrigger for the parameters; `kind` is "deployment".
    """

    async def on_kill(self) -> None:
        """Nothing to do: what was told to go still goes."""

    async def _look(self, nemo: SharedClient) -> JobProgress:
        try:
            progress = await nemo.send(progress_call(JobKind(self.kind), self.job))
        except NotFound:
            return JobProgress(state=JobState("deleted"))
        return removal_progress(progress)

    def _conclude(self, kind: JobKind, progress: JobProgress) -> str:  # noqa: ARG002
        return self.job


def removal_progress(progress: JobProgress) -> JobProgress:
    """The progress of a removal, from that of what is still there."""
    state = "delete_failed" if progress.state == "delete_failed" else "deleting"
    return JobProgress(state=JobState(state), reason=progress.reason)


def _kind_of(kind: str) -> JobKind:
    try:
        return JobKind(kind)
    except ValueError:
        kinds = ", ".join(JobKind)
        raise JobFailed(f"kind is {kind!r}; give one of {kinds}") from None

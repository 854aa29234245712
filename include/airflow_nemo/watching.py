"""What is seen while remote work goes on, and what to make of it; the asking and sleeping is others'."""

from __future__ import annotations

from typing import Any

from include.airflow_nemo.errors import JobFailed
from include.airflow_nemo.outcomes import NO_RESOURCES, describe, lacks_resources, missing, overdue
from include.airflow_nemo.polling import Polling
from include.nemo import JobProgress, JobState
from include.nemo.errors import NemoError, NotFound, RateLimited, ServerError, UnexpectedAnswer
from include.nemo.jobs import JobKind

MISSING_POLLS = 3
"""How many times in a row NotFound is believed to be a replica that does not know the job yet."""


class Watch:
    """One wait, whoever asks: a trigger, a sensor that pokes, an operator in its worker.

    Every look ends in `see` or `bear`. Errors that may pass are borne until the deadline; the others, and
    the deadline itself, end the wait with an exception.

    log: where the task's reader looks.
    """

    def __init__(self, kind: JobKind, job: str, timeout_seconds: float, polling: Polling, log: Any) -> None:
        self._kind = kind
        self._job = job
        self._timeout_seconds = timeout_seconds
        self._polling = polling
        self._log = log
        self._seen: JobProgress | None = None
        self._trouble: str | None = None
        self._missing = 0
        self._asked_seconds: float | None = None

    def see(self, progress: JobProgress) -> bool:
        """Take a look that succeeded. Returns whether it shows anything new, which is logged."""
        self._missing, self._trouble, self._asked_seconds = 0, None, None
        before = self._seen
        if before is not None and _gist(before) == _gist(progress):
            return False
        self._seen = progress
        self._polling.changed()
        self._log.info("%s %s: %s", self._kind.value, self._job, describe(progress))
        if not progress.state.is_known and (before is None or before.state != progress.state):
            self._log.warning("Unknown state %r: taken as still going until the deadline", progress.state)
        if progress.state == "pending" and lacks_resources(progress):
            self._log.warning("It waits for resources. %s", NO_RESOURCES)
        return True

    def bear(self, error: NemoError) -> None:
        """Take an error that may pass, or raise it; JobFailed for work that nobody knows."""
        if isinstance(error, NotFound):
            self._missing += 1
            if self._missing >= MISSING_POLLS:
                last_seen = describe(self._seen) if self._seen else None
                raise JobFailed(missing(self._kind, self._job, str(error), last_seen)) from error
        elif not (error.transient or isinstance(error, UnexpectedAnswer)):
            raise error
        if str(error) != self._trouble:
            self._log.warning("Poll failed, trying again: %s", error)
        self._trouble = str(error)
        asked = error.retry_after_seconds if isinstance(error, RateLimited | ServerError) else None
        self._asked_seconds = asked

    def check_deadline(self) -> None:
        """Raises JobFailed once the deadline has passed; the look before it was the last."""
        if self._polling.is_overdue:
            raise self.overdue()

    def overdue(self) -> JobFailed:
        """What to say when time is up: what was seen last, and what went wrong last."""
        last_seen = describe(self._seen) if self._seen else "never"
        trouble = f"; the last poll failed: {self._trouble}" if self._trouble else ""
        return JobFailed(overdue(self._kind, self._job, self._timeout_seconds, last_seen + trouble))

    def wait_seconds(self) -> float:
        """Seconds until the next look; at least what the service asked for."""
        return self._polling.wait_seconds(self._asked_seconds)


def not_served_yet(progress: JobProgress, model: str) -> JobProgress:
    """The progress of work that is done, but whose model the NIM proxy does not list."""
    reason = f"{progress.state}, but the NIM proxy does not list {model} yet"
    return JobProgress(state=JobState("running"), reason=reason, output=progress.output)


def _gist(progress: JobProgress) -> tuple[object, ...]:
    return progress.state, progress.percentage, progress.reason

"""Threads that work on jobs: they can be cancelled, and a shutdown leaves the job's state as it is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from include.nemo_local import clock
from include.nemo_local.behaviours import Behaviours
from include.nemo_local.errors import JobCancelled, ServerStopping

log = logging.getLogger(__name__)
_HOLD_POLL_SECONDS = 0.1


class JobControl:
    """What a job's thread asks between two steps of its work."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping
        self._wake = threading.Event()
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True
        self._wake.set()

    def wake(self) -> None:
        self._wake.set()

    def stop_wanted(self) -> bool:
        return self._cancelled or self._stopping.is_set()

    def check(self) -> None:
        """Raises JobCancelled or ServerStopping when the work should end."""
        if self._stopping.is_set():
            raise ServerStopping
        if self._cancelled:
            raise JobCancelled

    def wait_until(self, moment: float) -> None:
        """Waits until that Unix time; raises as `check` does, at once."""
        while (rest := moment - clock.now()) > 0:
            self.check()
            self._wake.wait(rest)
        self.check()

    def wait_while_held(self, behaviours: Behaviours, kind: str, *models: str) -> str | None:
        """Waits as long as a behaviour holds the job; the reason to fail with, if one says so."""
        while (behaviour := behaviours.of(kind, *models)) is not None:
            self.check()
            if behaviour.fail is not None:
                return behaviour.fail
            self._wake.wait(_HOLD_POLL_SECONDS)
        self.check()
        return None


class JobThreads:
    """One thread a running job."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._running: dict[str, tuple[JobControl, threading.Thread]] = {}

    def start(self, job_id: str, work: Callable[[JobControl], None]) -> None:
        """Runs ``work`` in a thread of its own, unless that job runs already."""
        with self._lock:
            if job_id in self._running or self._stopping.is_set():
                return
            control = JobControl(self._stopping)
            thread = threading.Thread(
                target=self._run, args=(job_id, control, work), name=job_id, daemon=True
            )
            self._running[job_id] = (control, thread)
        thread.start()

    def cancel(self, job_id: str) -> bool:
        """Asks the job's thread to stop; False when none works on it."""
        with self._lock:
            running = self._running.get(job_id)
        if running is None:
            return False
        running[0].cancel()
        return True

    def join(self, job_id: str, timeout_seconds: float) -> None:
        """Waits until no thread works on that job."""
        with self._lock:
            running = self._running.get(job_id)
        if running is not None:
            running[1].join(timeout_seconds)

    def stop(self, timeout_seconds: float) -> None:
        """Asks all threads to end and waits for them this long in all."""
        with self._lock:
            self._stopping.set()
            running = list(self._running.values())
        deadline = clock.now() + timeout_seconds
        for control, _ in running:
            control.wake()
        for _, thread in running:
            thread.join(max(0.0, deadline - clock.now()))

    def _run(self, job_id: str, control: JobControl, work: Callable[[JobControl], None]) -> None:
        try:
            work(control)
        except ServerStopping:
            log.info("%s goes on after the restart", job_id)
        except Exception:
            # The store is closed under a thread that outlives the server's shutdown.
            if not self._stopping.is_set():
                log.exception("%s broke", job_id)
                raise
        finally:
            with self._lock:
                self._running.pop(job_id, None)

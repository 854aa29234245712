"""Processes of the stack: started in sessions of their own, so that they end as a group and none is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from include.local_stack.errors import ServiceDied, ToolMissing

_STOP_SECONDS = 8.0
_POLL_SECONDS = 0.1
_TAIL_LINES = 15


class Service:
    """One running program with its log."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str],
        user: str | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            try:
                self._process = subprocess.Popen(  # noqa: S603
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=dict(env),
                    start_new_session=True,
                    user=user,
                    cwd=cwd,
                )
            except FileNotFoundError:
                raise ToolMissing(
                    f"{command[0]} is not there: delete .venv and run the command again to install it"
                ) from None

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its group."""
        return self._process.pid

    def is_running(self) -> bool:
        """Whether the first process of the group lives."""
        return self._process.poll() is None

    def wait_ready(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait until `ready()`. Raises ServiceDied with the end of the log when it ends or takes too long."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.is_running():
                raise self._died(f"ended with exit code {self._process.returncode}")
            if time.monotonic() > deadline:
                raise self._died(f"was not ready after {seconds:.0f} s")
            time.sleep(_POLL_SECONDS)

    def wait_end(self, seconds: float) -> int:
        """Wait for the end of a program that ends by itself; its exit code.

        Raises ServiceDied if it does not end.
        """
        try:
            return self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise self._died(f"did not end within {seconds:.0f} s") from None

    def check(self) -> None:
        """Raises ServiceDied when it has ended."""
        if not self.is_running():
            raise self._died(f"ended with exit code {self._process.returncode}")

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the group; does not wait."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGTERM)

    def stop(self) -> None:
        """End the whole group: SIGTERM, then SIGKILL for what is left."""
        self.ask_to_stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=_STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def _died(self, what: str) -> ServiceDied:
        tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])
        return ServiceDied(f"{self.name} {what}. The end of its log, {self.log}:\n{tail}")

"""One stack a folder: two would use the same data and end each other's processes."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from include.local_stack.errors import StackRunning


class StackLock:
    """A lock on a file; the system releases it when its holder ends, however that happens."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Raises StackRunning that names the process that holds it."""
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode() or "unknown"
            os.close(descriptor)
            raise StackRunning(
                f"another stack (process {holder}) runs in {self._file.parent}: end it with Ctrl-C first, or "
                "name another folder with --state and other ports with --free-ports"
            ) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())
        self._descriptor = descriptor

    @property
    def is_held(self) -> bool:
        """Whether this object holds it."""
        return self._descriptor is not None

    def release(self) -> None:
        """Let others start; safe to repeat."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

"""Processes that a killed stack left behind: found by the mark in their environment, or by their session."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

# Every process of a stack carries its id in the environment. Programs that rename themselves, as Airflow's
# do, overwrite it; they are found by the session that they were started in.
MARK = "FLYWHEEL_STACK_ID"
_SESSION_FIELD = 3


class Sessions:
    """The sessions of a stack's services, written down so that a later start can end them."""

    def __init__(self, file: Path, *folders: Path) -> None:
        """`folders`: where the services run; tells them from strangers that got an old session's number."""
        self._file = file
        self._folders = [folder.resolve() for folder in folders]

    def add(self, session_id: int) -> None:
        """Write a session down as soon as it exists."""
        with self._file.open("a", encoding="ascii") as lines:
            lines.write(f"{session_id}\n")

    def kill(self) -> int:
        """SIGKILL every process of the sessions; returns how many there were."""
        if not self._file.exists():
            return 0
        sessions = {int(line) for line in self._file.read_text(encoding="ascii").split()}
        members = [pid for pid in _processes() if _session(pid) in sessions and _runs_in(pid, self._folders)]
        for pid in members:
            _kill(pid)
        self._file.unlink()
        return len(members)


def kill_marked(stack_id: str) -> int:
    """SIGKILL every other process that carries the mark of this stack; returns how many.

    Reads /proc, so it finds nothing where there is none (macOS); process groups end the rest there.
    """
    wanted = f"{MARK}={stack_id}".encode()
    members = [pid for pid in _processes() if pid != os.getpid() and _is_marked(pid, wanted)]
    for pid in members:
        _kill(pid)
    return len(members)


def _processes() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").glob("[0-9]*"))


def _is_marked(pid: int, wanted: bytes) -> bool:
    try:
        return wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _session(pid: int) -> int | None:
    """The session of a process. Its name, in brackets, may hold anything: the fields count from behind it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
    except OSError:
        return None
    return int(fields.split()[_SESSION_FIELD])


def _runs_in(pid: int, folders: list[Path]) -> bool:
    try:
        current = Path(f"/proc/{pid}/cwd").resolve()
    except OSError:
        return False
    return any(current.is_relative_to(folder) for folder in folders)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)

"""The processes of a stack's Airflow, found in /proc, and killed without a warning."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

_PARENT_FIELD = 1


def children(pid: int) -> list[int]:
    """Processes whose parent is `pid`."""
    return [one for one in _all() if _parent(one) == pid]


def descendants(pid: int) -> list[int]:
    """Children, their children, and so on."""
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def kill(*pids: int) -> None:
    """SIGKILL; one that is gone already is as dead."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _all() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]


def _parent(pid: int) -> int | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[_PARENT_FIELD])

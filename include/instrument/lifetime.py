"""What happens to recorders when the process forks or ends."""

from __future__ import annotations

import atexit
import os
from functools import cache
from typing import Protocol


class Living(Protocol):
    """A recorder, as its process sees it."""

    def after_fork_in_child(self) -> None:
        """Begin anew: threads are gone, and what is queued is the parent's to write."""

    def at_exit(self) -> None:
        """Write what is queued, for a bounded time."""


_living: set[Living] = set()


def watch(recorder: Living) -> None:
    """Tell `recorder` of forks and of the exit. It stays alive: what it has queued must be written."""
    _register()
    _living.add(recorder)


def forget(recorder: Living) -> None:
    """It is closed: nothing is left to tell it."""
    _living.discard(recorder)


@cache
def _register() -> None:
    atexit.register(_exit)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forked)


def _forked() -> None:
    for recorder in list(_living):
        recorder.after_fork_in_child()


def _exit() -> None:
    for recorder in list(_living):
        recorder.at_exit()

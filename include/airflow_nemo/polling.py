"""How often to look, and until when."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field

GROWTH = 1.5
JITTER = 0.2


def check_pauses(poll_seconds: float, max_poll_seconds: float) -> None:
    """Raises ValueError for pauses that would ask without end, or never grow."""
    if poll_seconds <= 0:
        raise ValueError(f"poll_seconds is {poll_seconds}; it must be above 0")
    if max_poll_seconds < poll_seconds:
        raise ValueError(
            f"max_poll_seconds is {max_poll_seconds}; it must be at least poll_seconds ({poll_seconds})"
        )


@dataclass(slots=True, kw_only=True)
class Polling:
    """Waits between two looks, in seconds: `first` at first and after each change, then 1.5 times more
    each time up to `longest`, each ±20 % so that many triggers do not ask at the same moment. No wait
    goes beyond the deadline, so that the last look comes when it has passed.

    `deadline_at` is a Unix time, so that it survives a restart of the triggerer.
    """

    first: float
    longest: float
    deadline_at: float
    _next: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        check_pauses(self.first, self.longest)
        self.changed()

    def changed(self) -> None:
        """Something moved: look often again."""
        self._next = self.first

    @property
    def is_overdue(self) -> bool:
        return time.time() >= self.deadline_at

    def wait_seconds(self, at_least: float | None = None) -> float:
        """The next wait. `at_least` is what a service asked for with Retry-After."""
        wait = self._next * random.uniform(1 - JITTER, 1 + JITTER)
        self._next = min(self._next * GROWTH, self.longest)
        return max(0.0, min(max(wait, at_least or 0.0), self.deadline_at - time.time()))

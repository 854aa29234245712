"""Kills what a run stands on, at moments drawn by a seed, and starts it again, until the run is over."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from include.local_stack.stack import Stack

from . import processes

# Logs name the services. A supervisor starts what was killed again after a second.
SERVICES = ("airflow_scheduler", "airflow_triggerer", "airflow_api-server", "nemo_local", "mongo")
WORKERS = ("worker", "worker_before_it_begins")
VICTIMS = (*SERVICES, *WORKERS)
_DOWN_SECONDS = 1.0
_HUNT_SECONDS = 20.0
_HUNT_POLL_SECONDS = 0.002


@dataclass
class Kill:
    """What was killed, and how long after the start of the run."""

    victim: str
    after_seconds: float


@dataclass
class Driver:
    """Kills drawn by a seed. `pause_seconds`: least and most time between two kills."""

    stack: Stack
    seed: int
    pause_seconds: tuple[float, float]
    done: list[Kill] = field(default_factory=list)

    def drive(self, victims: list[str], is_over: Callable[[], bool]) -> list[Kill]:
        """Kill `victims` in that order, unless the run is over before; returns what was killed."""
        draw = random.Random(self.seed)
        started = time.monotonic()
        for victim in victims:
            if _wait(draw.uniform(*self.pause_seconds), is_over):
                break
            if self._kill(victim, is_over):
                self.done.append(Kill(victim, round(time.monotonic() - started, 1)))
        return self.done

    def _kill(self, victim: str, is_over: Callable[[], bool]) -> bool:
        if victim in SERVICES:
            self._kill_service(victim)
            return True
        if victim == "worker":
            return self._hunt(is_over, self._working)
        return self._hunt(is_over, self._just_forked)

    def _kill_service(self, log: str) -> None:
        """The main process alone where it has workers of its own, which live on; else its group."""
        pid = self.stack.pid_of(log)
        processes.kill(pid, *([] if log == "airflow_scheduler" else processes.descendants(pid)))
        time.sleep(_DOWN_SECONDS)
        self.stack.start_again(log)

    def _hunt(self, is_over: Callable[[], bool], prey: Callable[[dict[int, float]], list[int]]) -> bool:
        """Kill the first that shows itself; False when none does while the run lasts."""
        deadline = time.monotonic() + _HUNT_SECONDS
        seen: dict[int, float] = {}
        while time.monotonic() < deadline and not is_over():
            rounds = time.monotonic() + 1
            while time.monotonic() < rounds:
                if pids := prey(seen):
                    processes.kill(*pids)
                    return True
                time.sleep(_HUNT_POLL_SECONDS)
        return False

    def _working(self, seen: dict[int, float]) -> list[int]:
        """A worker whose task has run for half a second, with the task."""
        now = time.monotonic()
        for worker, task in self._tasks():
            if now - seen.setdefault(task, now) > 0.5:
                return [worker, task]
        return []

    def _just_forked(self, seen: dict[int, float]) -> list[int]:
        """A worker that has taken its task but not begun it, with the task's process."""
        first_look = not seen
        for worker, task in self._tasks():
            if task not in seen:
                seen[task] = time.monotonic()
                if not first_look:
                    return [worker, task]
        seen.setdefault(0, 0.0)
        return []

    def _tasks(self) -> list[tuple[int, int]]:
        scheduler = self.stack.pid_of("airflow_scheduler")
        return [
            (worker, task) for worker in processes.children(scheduler) for task in processes.children(worker)
        ]


def plan(seed: int, kills: int) -> list[str]:
    """Victims in random order, each kind as often as the others."""
    draw = random.Random(seed)
    drawn: list[str] = []
    while len(drawn) < kills:
        drawn += draw.sample(VICTIMS, len(VICTIMS))
    return drawn[:kills]


def _wait(seconds: float, is_over: Callable[[], bool]) -> bool:
    """Whether the run was over before that time had passed."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if is_over():
            return True
        time.sleep(0.2)
    return False

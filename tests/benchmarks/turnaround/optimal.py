"""The best that any schedule of the same dependencies and GPU needs could do.

A deployment begins once the training has begun (or later) and holds its GPUs until the last evaluation has
ended. Up to a handful of NIMs the best is searched for (branch and bound); beyond, there are a bound from
below and the best of many list schedules from above.

The search needs few starting times. Moving a training to the left never hurts, so it begins at 0 or when
GPUs are given back. Moving a deployment to the right, up to the last moment at which it is not the reason
for a later end, never hurts, and beyond that moment moving it to the left never does: it begins at that
moment, when its training begins, or when GPUs are given back.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from instances import Nim

_NONE = -1


def bound(nims: Sequence[Nim], gpus: int | None) -> int:
    """Milliseconds that no schedule can beat: the critical path, or GPU time by GPUs."""
    path = max(nim.critical_path_ms for nim in nims)
    return path if gpus is None else max(path, math.ceil(sum(nim.gpu_ms for nim in nims) / gpus))


def optimal(nims: Sequence[Nim], gpus: int | None, *, known_ms: int, most_nodes: int) -> tuple[int, bool]:
    """The shortest time in milliseconds, and whether the search was finished.

    `known_ms` is the time of some schedule. Without budget it is the critical path.
    """
    if gpus is None:
        return bound(nims, None), True
    search = _Search(tuple(nims), gpus, known_ms, most_nodes)
    search.go(_State((_NONE,) * len(nims), (_NONE,) * len(nims)), 0)
    return search.best_ms, search.nodes <= most_nodes


def best_list_schedule(nims: Sequence[Nim], gpus: int | None, *, tries: int, seed: int = 0) -> int:
    """The shortest of `tries` schedules, each greedy by an order; an order is changed while that helps."""
    if gpus is None:
        return bound(nims, None)
    draw = random.Random(seed)
    steps = [(number, serving) for number in range(len(nims)) for serving in (False, True)]
    best = math.inf
    at_hand, reached = steps, math.inf
    for number in range(tries):
        if number % 500 == 0:
            at_hand, reached = draw.sample(steps, len(steps)), math.inf
        tried = _neighbour(at_hand, draw)
        wall = list_schedule(nims, gpus, tried)
        if wall <= reached:
            at_hand, reached = tried, wall
            best = min(best, wall)
    return int(best)


def list_schedule(nims: Sequence[Nim], gpus: int, order: Sequence[tuple[int, bool]]) -> int:
    """Milliseconds, when whatever can begin does, in `order` of (number of the NIM, whether it serves)."""
    search = _Search(tuple(nims), gpus, 0, 0)
    state, clock = _State((_NONE,) * len(nims), (_NONE,) * len(nims)), 0
    while True:
        free = gpus - search.held(state, clock)
        for step in order:
            if (needed := search.needs(state, clock, step)) <= free:
                state = search.begun(state, clock, step)
                free -= needed
        following = search.next_event(state, clock)
        if following is None:
            return max(state.served)
        clock = following


def _neighbour(order: list[tuple[int, bool]], draw: random.Random) -> list[tuple[int, bool]]:
    changed = list(order)
    changed.insert(draw.randrange(len(order)), changed.pop(draw.randrange(len(order))))
    return changed


@dataclass(frozen=True)
class _State:
    """When each training and each serving ends; _NONE: it has not begun."""

    trained: tuple[int, ...]
    served: tuple[int, ...]


@dataclass
class _Search:
    nims: tuple[Nim, ...]
    gpus: int
    best_ms: int
    most_nodes: int
    nodes: int = 0
    seen: set[tuple[object, ...]] = field(default_factory=set)

    def go(self, state: _State, clock: int) -> None:
        """Try everything that can begin now, and to wait, best first."""
        self.nodes += 1
        if self.nodes > self.most_nodes or self._least(state, clock) >= self.best_ms:
            return
        if _NONE not in state.served:
            self.best_ms = max(state.served)
            return
        known = (clock, *self._remaining(state, clock))
        if known in self.seen:
            return
        self.seen.add(known)
        for step in self.possible(state, clock):
            self.go(self.begun(state, clock, step), clock)
        following = self.next_event(state, clock)
        if following is not None:
            self.go(state, following)

    def possible(self, state: _State, clock: int) -> list[tuple[int, bool]]:
        """What can begin now: (number of the NIM, whether it serves)."""
        free = self.gpus - self.held(state, clock)
        steps = ((number, serving) for number in range(len(self.nims)) for serving in (False, True))
        return [step for step in steps if self.needs(state, clock, step) <= free]

    def needs(self, state: _State, clock: int, step: tuple[int, bool]) -> float:
        """GPUs that a step takes when it begins now; infinitely many when it cannot."""
        number, serving = step
        nim, trained = self.nims[number], state.trained[number]
        if not serving:
            return nim.train_gpus if trained == _NONE else math.inf
        if trained == _NONE or state.served[number] != _NONE or clock < nim.latest_serving(trained):
            return math.inf
        return nim.serve_gpus

    def begun(self, state: _State, clock: int, step: tuple[int, bool]) -> _State:
        """The state after one thing more has begun."""
        number, serving = step
        nim = self.nims[number]
        if serving:
            return _State(
                state.trained, _set(state.served, number, nim.served_until(state.trained[number], clock))
            )
        return _State(_set(state.trained, number, clock + nim.training_ms), state.served)

    def next_event(self, state: _State, clock: int) -> int | None:
        """When GPUs are given back next, or a deployment should begin; None: all has begun."""
        if _NONE not in state.served:
            return None
        ends = [*state.trained, *state.served]
        latest = [
            nim.latest_serving(trained)
            for nim, trained, served in zip(self.nims, state.trained, state.served, strict=True)
            if trained != _NONE and served == _NONE
        ]
        return min((at for at in (*ends, *latest) if at > clock), default=None)

    def held(self, state: _State, clock: int) -> int:
        return sum(
            nim.train_gpus * (trained > clock) + nim.serve_gpus * (served > clock)
            for nim, trained, served in zip(self.nims, state.trained, state.served, strict=True)
        )

    def _remaining(self, state: _State, clock: int) -> tuple[tuple[int, ...], tuple[int, ...], int]:
        """The state without what is past, for states that differ in that alone go on alike."""
        trained = tuple(
            end if end == _NONE or served == _NONE or end > clock else 0
            for end, served in zip(state.trained, state.served, strict=True)
        )
        served = tuple(end if end == _NONE or end > clock else 0 for end in state.served)
        return trained, served, max(state.served)

    def _least(self, state: _State, clock: int) -> int:
        """No schedule that goes on from here ends earlier."""
        path, gpu_ms = clock, 0
        for nim, trained, served in zip(self.nims, state.trained, state.served, strict=True):
            gpu_ms += nim.train_gpus * (nim.training_ms if trained == _NONE else max(trained - clock, 0))
            if served != _NONE:
                path = max(path, served)
                gpu_ms += nim.serve_gpus * max(served - clock, 0)
            else:
                ends = clock + nim.training_ms if trained == _NONE else trained
                path = max(path, nim.served_until(ends, clock))
                gpu_ms += nim.serve_gpus * nim.shortest_serving_ms
        return max(path, clock + math.ceil(gpu_ms / self.gpus))


def _set(values: tuple[int, ...], number: int, value: int) -> tuple[int, ...]:
    return (*values[:number], value, *values[number + 1 :])

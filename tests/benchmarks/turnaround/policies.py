"""Orders in which GPUs could be granted, compared: `python tests/benchmarks/turnaround/policies.py`. Minutes.

Single runs by the best schedule known (mean and worst), and loads of 2 to 8 runs that start within a minute
(mean seconds until a run has ended, and GPU seconds idle in vain).
"""

from __future__ import annotations

import itertools
import random
import statistics
from collections.abc import Callable

from instances import SHAPES, instance
from optimal import best_list_schedule, optimal
from simulate import Run, Way, simulate, simulate_runs

from include.flywheel.runs.leases.model import LeaseKind, Ledger, Waiting
from include.flywheel.runs.leases.policy import Place, Rank, train_first

_SINGLE = list(itertools.product((3, 5, 10, 20), (2, 4, 8, 16), range(1, 9)))
_LOADS = 60
_TRIES = {3: 300, 5: 500, 10: 1500, 20: 800}
_SEARCHED_NIMS = 5

# What a request is for: serving a NIM that trains no longer, training, serving one that still trains.
_TRAINED, _TRAINING, _STILL_TRAINING = 0, 1, 2


def by(place: Callable[[Waiting, int], tuple[int, ...]]) -> Rank:
    """A rank by the request and what it is for."""

    def rank(ledger: Ledger) -> Place:
        training = {lease.nim for lease in ledger.leases if lease.kind is LeaseKind.TRAINING}

        def purpose(one: Waiting) -> int:
            if one.kind is LeaseKind.TRAINING:
                return _TRAINING
            return _STILL_TRAINING if one.nim in training else _TRAINED

        return lambda one: place(one, purpose(one))

    return rank


_LAST = {_TRAINING: 0, _TRAINED: 1, _STILL_TRAINING: 2}
RANKS: dict[str, Rank] = {
    "all serving, training": by(lambda one, what: (what == _TRAINING, one.order)),
    "serving, training, serving of who trains": by(lambda one, what: (what, one.order)),
    "by age alone": by(lambda one, _: (one.order,)),
    "train_first, runs alike": by(lambda one, what: (_LAST[what], -one.gpus, one.order)),
    "train_first": train_first,
}


def best_known(nims: int, gpus: int, seed: int, shape: str) -> int:
    """Milliseconds of the best schedule of an instance."""
    drawn = instance(nims, seed, shape, gpus)
    best = best_list_schedule(drawn, gpus, tries=_TRIES[nims], seed=seed)
    if nims <= _SEARCHED_NIMS:
        best, _ = optimal(drawn, gpus, known_ms=best, most_nodes=300_000)
    return best


def load(seed: int, shape: str) -> tuple[list[Run], int]:
    """Runs that share GPUs, and how many GPUs."""
    draw = random.Random(seed)
    number, gpus, start_ms, runs = draw.choice((2, 3, 8)), draw.choice((4, 8, 16)), 0, []
    for at in range(number):
        nims = instance(draw.choice((1, 3, 5, 10)), seed * 100 + at, shape, gpus)
        runs.append(Run(f"run-{at}", nims, start_ms))
        start_ms += draw.choice((0, 0, 5_000, 20_000))
    return runs, gpus


def main() -> None:
    """Print a table for each shape."""
    for shape in SHAPES:
        best = {(n, gpus, seed): best_known(n, gpus, seed, shape) for n, gpus, seed in _SINGLE}
        print(f"\n| {shape} | mean | worst | a run | idle |\n|---|---|---|---|---|")
        for name, rank in RANKS.items():
            way = Way(rank=rank)
            ratios = [
                simulate(instance(n, seed, shape, gpus), gpus, way).wall_ms / best[n, gpus, seed]
                for n, gpus, seed in _SINGLE
            ]
            turnarounds, idle = [], []
            for runs, gpus in (load(seed, shape) for seed in range(_LOADS)):
                played = simulate_runs(runs, gpus, way)
                turnarounds.append(statistics.mean(played.ends_ms[run.job_id] - run.start_ms for run in runs))
                idle.append(played.idle_ms)
            print(
                f"| {name} | {statistics.mean(ratios):.3f} | {max(ratios):.2f} "
                f"| {statistics.mean(turnarounds) / 1000:.1f} | {statistics.mean(idle) / 1000:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()

"""How long runs take under the rules of the leases, simulated: `python tests/benchmarks/turnaround`.

Seconds at 1 : 60, as instances.py draws them, without the time that Airflow takes: the policy of the leases,
the best there is (`=`: optimal, `≤`: the best of many list schedules), the bound that nothing beats, each
NIM's stages in a row, and one NIM after another. The ratio is the policy by the best; means over the seeds,
and the worst. `idle` is how long GPUs were free that would have fitted somebody who waited.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass

from instances import BUDGETS, NIMS, SHAPES, Nim, instance
from optimal import best_list_schedule, bound, optimal
from simulate import Way, one_after_another, simulate

_SEARCHED_NIMS = 5


@dataclass(frozen=True)
class Row:
    """One instance. Times in milliseconds."""

    policy_ms: int
    best_ms: int
    is_optimal: bool
    bound_ms: int
    in_a_row_ms: int
    one_after_another_ms: int
    idle_ms: int


def measure(nims: tuple[Nim, ...], gpus: int | None, *, tries: int, most_nodes: int) -> Row:
    """Play the instance in every way."""
    policy = simulate(nims, gpus)
    best, least = best_list_schedule(nims, gpus, tries=tries), bound(nims, gpus)
    is_optimal = best == least
    if not is_optimal and len(nims) <= _SEARCHED_NIMS:
        best, is_optimal = optimal(nims, gpus, known_ms=best, most_nodes=most_nodes)
    return Row(
        policy_ms=policy.wall_ms,
        best_ms=min(best, policy.wall_ms),
        is_optimal=is_optimal,
        bound_ms=least,
        in_a_row_ms=simulate(nims, gpus, Way(in_a_row=True)).wall_ms,
        one_after_another_ms=one_after_another(nims, gpus),
        idle_ms=policy.idle_ms,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, help="instances of each kind")
    parser.add_argument("--tries", type=int, default=1500, help="list schedules for each instance")
    parser.add_argument("--nodes", type=int, default=300_000, help="steps of a search for the optimum")
    given = parser.parse_args()
    print("| NIMs | GPUs | needs | policy | best | bound | ratio | worst | in a row | one by one | idle |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for nims in NIMS:
        for gpus in BUDGETS:
            for shape in SHAPES:
                rows = [
                    measure(
                        instance(nims, seed, shape, gpus), gpus, tries=given.tries, most_nodes=given.nodes
                    )
                    for seed in range(1, given.seeds + 1)
                ]
                print(f"| {nims} | {gpus or '∞'} | {shape} | {_line(rows)} |", flush=True)


def _line(rows: list[Row]) -> str:
    def seconds(values: list[int]) -> str:
        return f"{statistics.mean(values) / 1000:.1f}"

    ratios = [row.policy_ms / row.best_ms for row in rows]
    sign = "=" if all(row.is_optimal for row in rows) else "≤"
    return " | ".join(
        [
            seconds([row.policy_ms for row in rows]),
            f"{sign} {seconds([row.best_ms for row in rows])}",
            seconds([row.bound_ms for row in rows]),
            f"{statistics.mean(ratios):.3f}",
            f"{max(ratios):.3f}",
            seconds([row.in_a_row_ms for row in rows]),
            seconds([row.one_after_another_ms for row in rows]),
            seconds([row.idle_ms for row in rows]),
        ]
    )


if __name__ == "__main__":
    main()

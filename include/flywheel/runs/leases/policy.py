"""Who goes first when GPUs are scarce.

Chosen by figures of tests/benchmarks/turnaround. Runs of 3 to 20 NIMs alone on 2 to 16 GPUs, as a
multiple of the best schedule known: mean, worst. Runs of 1 to 10 NIMs among 2 to 8 such runs: mean seconds
until the end, at 1 : 60. Steps need one GPU each, or (mixed) up to four:

| order | alone | alone, mixed | among others | mixed |
|---|---|---|---|---|
| all serving, then training | 1.118, 1.40 | 1.177, 1.51 | 55.2 | 102.4 |
| serving of the trained, training, other serving | 1.080, 1.36 | 1.155, 1.51 | 50.7 | 98.5 |
| first come first served, whatever it is | 1.027, 1.16 | 1.074, 1.37 | 56.0 | 102.5 |
| `train_first`, all runs alike | 1.027, 1.16 | 1.018, 1.20 | 59.4 | 108.2 |
| `train_first` | 1.027, 1.16 | 1.018, 1.20 | 49.4 | 90.8 |
"""

from __future__ import annotations

from collections.abc import Callable

from include.flywheel.runs.leases.model import LeaseKind, Ledger, Waiting

MOST_OVERTAKES = 32
"""How many later requests may be granted before one that waits: fewer leave GPUs idle for large requests."""

Place = Callable[[Waiting], tuple[int, ...]]
Rank = Callable[[Ledger], Place]


def train_first(ledger: Ledger) -> Place:
    """The place of a request in the line, the lowest first.

    The run that came first goes first, and in a run training goes before serving: it is the longest step,
    and a deployment that begins after the training is the shortest that there can be. Of requests alike, the
    one for more GPUs goes first, then the earlier one. Serving for a NIM that still trains comes last of all,
    because its deployment would hold GPUs and wait; it takes what nobody else can use.
    """
    training = {lease.nim for lease in ledger.leases if lease.kind is LeaseKind.TRAINING}

    def place(request: Waiting) -> tuple[int, ...]:
        serving = request.kind is LeaseKind.SERVING
        would_wait = serving and request.nim in training
        return would_wait, request.run_order, serving, -request.gpus, request.order

    return place

"""How long GPUs were free although a NIM waited that they would have been enough for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from include.flywheel.runs.documents import NimDocument
from include.flywheel.runs.states import StageName

_STAGES = {"training": StageName.CUSTOMIZE, "serving": StageName.DEPLOY}


@dataclass(frozen=True)
class Wait:
    """A NIM waits for GPUs from the moment that it asks until its job is submitted. Unix seconds."""

    since: float
    until: float
    gpus: int


def waits_of(nims: Sequence[NimDocument]) -> list[Wait]:
    """Every wait of a run, whether for the lease or for the submit after it."""
    return [
        Wait(_seconds(lease.asked_at), _seconds(submitted), lease.gpus)
        for nim in nims
        for kind, lease in nim.leases.items()
        if (submitted := nim.stages[_STAGES[kind]].submitted_at) is not None
    ]


def longest_idle_seconds(
    nims: Sequence[NimDocument], uses: Sequence[dict[str, Any]], gpus: int | None
) -> float:
    """The longest time without a break in which enough GPUs were free for somebody who waited.

    `uses`: `{at, used}` as the service measured it, oldest first.
    """
    if gpus is None:
        return 0.0
    waits = waits_of(nims)
    times = sorted({use["at"] for use in uses} | {one.since for one in waits} | {one.until for one in waits})
    longest = current = 0.0
    for begin, end in pairwise(times):
        used = next((use["used"] for use in reversed(uses) if use["at"] <= begin), 0)
        fits = any(one.since <= begin < one.until and one.gpus <= gpus - used for one in waits)
        current = current + end - begin if fits else 0.0
        longest = max(longest, current)
    return longest


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()

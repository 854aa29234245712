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
    """The longest time that one GPU stayed free although it would have been enough, with those free beside
    it, for somebody who waited.

    `uses`: `{at, used}` as the service measured it, oldest first. GPUs are alike: what is submitted takes
    those that were free for longest.
    """
    if gpus is None:
        return 0.0
    waits = waits_of(nims)
    times = sorted({use["at"] for use in uses} | {one.since for one in waits} | {one.until for one in waits})
    idle = [0.0] * gpus
    longest = 0.0
    for begin, end in pairwise(times):
        free = max(0, gpus - next((use["used"] for use in reversed(uses) if use["at"] <= begin), 0))
        taken = max(0, len(idle) - free)
        idle = sorted(idle, reverse=True)[taken:] + [0.0] * (free - len(idle))
        wanted = _wanted([one.gpus for one in waits if one.since <= begin < one.until], free)
        idle = [seconds + end - begin if place < wanted else seconds for place, seconds in enumerate(idle)]
        longest = max([longest, *idle])
    return longest


def _wanted(needs: list[int], free: int) -> int:
    """How many of the free GPUs could be in use, the smallest needs first."""
    wanted = 0
    for need in sorted(needs):
        if wanted + need <= free:
            wanted += need
    return wanted


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()

"""Idle GPUs are found between what NIMs asked and what the service measured."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from gaps import longest_idle_seconds

from include.flywheel.runs.documents import LeaseTimes, NimDocument, Stage
from include.flywheel.runs.states import StageName

START = 1_800_000_000.0


def moment(seconds: float) -> str:
    return datetime.fromtimestamp(START + seconds, UTC).isoformat(timespec="milliseconds")


def nim(asked: float, submitted: float, gpus: int = 1) -> NimDocument:
    return NimDocument(
        job_id="j",
        nim="n",
        slug="n",
        order=0,
        leases={"training": LeaseTimes(gpus=gpus, asked_at=moment(asked))},
        stages={StageName.CUSTOMIZE: Stage(submitted_at=moment(submitted))},
    )


def use(at: float, used: int) -> dict[str, float]:
    return {"at": START + at, "used": used}


@pytest.mark.parametrize(
    ("nims", "uses", "gpus", "idle"),
    [
        ([nim(0, 3)], [use(0, 0), use(3, 1)], 1, 3.0),
        # Somebody else has the GPU until 8: free from then to the submit.
        ([nim(0, 10)], [use(0, 1), use(8, 0), use(10, 1)], 1, 2.0),
        # One free GPU is not enough for two.
        ([nim(0, 10, gpus=2)], [use(0, 1), use(9, 0), use(10, 2)], 2, 1.0),
        # Broken off in the middle: the longest counts, not the sum.
        ([nim(0, 9)], [use(0, 0), use(4, 1), use(5, 0), use(9, 1)], 1, 4.0),
        # Two GPUs idle one after the other, each for three seconds, while others wait.
        (
            [nim(0, 3), nim(0, 6), nim(0, 9)],
            [use(0, 1), use(3, 2), use(3.1, 1), use(6, 2), use(6.1, 1), use(9, 2)],
            2,
            3.0,
        ),
        # Nobody waits.
        ([nim(0, 1)], [use(0, 0), use(1, 1), use(2, 0), use(60, 0)], 1, 1.0),
        ([nim(0, 9)], [use(0, 0)], None, 0.0),
    ],
)
def test_the_longest_idle_time(nims, uses, gpus, idle) -> None:
    assert longest_idle_seconds(nims, uses, gpus) == pytest.approx(idle, abs=1e-3)

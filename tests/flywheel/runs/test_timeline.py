"""The lanes of a run: where each stretch of time went."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.flywheel.runs.documents import LeaseTimes, NimDocument, Reference, RunDocument, Stage
from include.flywheel.runs.states import RunStatus, StageName, StageStatus
from include.flywheel.runs.timeline import Lane, SpanKind, Timeline, timeline

ZERO = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
JOB = "0123456789abcdef01234567"
WAIT, PENDING, WORK, SERVED = SpanKind.GPU_WAIT, SpanKind.PENDING, SpanKind.WORK, SpanKind.SERVED


def at(seconds: float) -> str:
    return (ZERO + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def run(**changes: Any) -> RunDocument:
    fields = {"job_id": JOB, "dag_id": "d", "run_id": "r", "client_id": "c", "workload_id": "w"}
    return RunDocument(**(fields | {"created_at": at(0), "status": RunStatus.RUNNING} | changes))


def nim(**changes: Any) -> NimDocument:
    return NimDocument(**({"job_id": JOB, "nim": "meta/a", "slug": "a", "order": 0} | changes))


def lane_of(picture: Timeline, label: str) -> Lane:
    [lane] = [one for group in picture.groups for one in group.lanes if one.label == label]
    return lane


def spans(lane: Lane) -> list[tuple[SpanKind, float, float, bool]]:
    return [
        (one.kind, (one.start - ZERO).total_seconds(), (one.end - ZERO).total_seconds(), one.open)
        for one in lane.spans
    ]


def times(*seconds: float | None) -> dict[str, str | None]:
    names = ("submitted_at", "started_at", "finished_at")
    return {name: None if one is None else at(one) for name, one in zip(names, seconds, strict=True)}


def test_waiting_for_gpus_pending_work_and_serving_are_told_apart() -> None:
    stages = {
        StageName.CUSTOMIZE: Stage(status=StageStatus.COMPLETED, **times(10, 12, 40)),
        StageName.DEPLOY: Stage(status=StageStatus.COMPLETED, **times(20, 21, 30)),
    }
    leases = {
        "training": LeaseTimes(gpus=2, asked_at=at(1), granted_at=at(9), released_at=at(41)),
        "serving": LeaseTimes(gpus=1, asked_at=at(10), granted_at=at(19)),
    }
    picture = timeline(run(), [nim(stages=stages, leases=leases, undeployed_at=at(60))], at(100))
    customize, deploy = lane_of(picture, "customize"), lane_of(picture, "deploy")
    assert spans(customize) == [(WAIT, 1, 9, False), (PENDING, 10, 12, False), (WORK, 12, 40, False)]
    assert spans(deploy) == [
        (WAIT, 10, 19, False),
        (PENDING, 20, 21, False),
        (WORK, 21, 30, False),
        (SERVED, 30, 60, False),
    ]
    assert (customize.gpus, deploy.gpus) == (2, 1)
    assert (customize.seconds(WAIT), deploy.seconds(SERVED)) == (8, 30)


def test_what_has_not_ended_goes_on_until_now_and_is_open() -> None:
    stages = {StageName.BASE_EVAL: Stage(status=StageStatus.PENDING, **times(5, None, None))}
    leases = {"training": LeaseTimes(gpus=1, asked_at=at(1))}
    picture = timeline(run(), [nim(stages=stages, leases=leases)], at(9))
    assert spans(lane_of(picture, "base_eval")) == [(PENDING, 5, 9, True)]
    assert spans(lane_of(picture, "customize")) == [(WAIT, 1, 9, True)]
    assert picture.seconds == 9


def test_what_nobody_ended_ends_with_the_nim_or_the_run() -> None:
    leases = {"training": LeaseTimes(gpus=1, asked_at=at(1))}
    down = nim(leases=leases, undeployed_at=at(7))
    left = nim(nim="meta/b", stages={StageName.ICL_EVAL: Stage(**times(2, 3, None))})
    ended = run(status=RunStatus.CANCELLED, finished_at=at(8), everything_down_at=at(9))
    picture = timeline(ended, [down, left], at(1000))
    assert spans(lane_of(picture, "customize")) == [(WAIT, 1, 7, True)]
    assert spans(lane_of(picture, "icl_eval")) == [(PENDING, 2, 3, False), (WORK, 3, 9, True)]
    assert picture.seconds == 9


@pytest.mark.parametrize(
    ("status", "kind"),
    [(StageStatus.COMPLETED, WORK), (StageStatus.FAILED, WORK), (StageStatus.CANCELLED, PENDING)],
)
def test_a_job_that_was_never_seen_at_work(status: StageStatus, kind: SpanKind) -> None:
    stages = {StageName.BASE_EVAL: Stage(status=status, **times(5, None, 6))}
    picture = timeline(run(), [nim(stages=stages)], at(9))
    assert spans(lane_of(picture, "base_eval")) == [(kind, 5, 6, False)]


def test_steps_and_reference_come_first_and_empty_groups_not_at_all() -> None:
    steps = {"decide": {"started_at": at(50)}, "prepare": {"started_at": at(0), "finished_at": at(2)}}
    reference = Reference(model="agent", stage=Stage(status=StageStatus.FAILED, **times(3, 4, 5)))
    picture = timeline(run(steps=steps, reference=reference), [nim()], at(60))
    assert [group.name for group in picture.groups] == ["run", "agent (production)"]
    assert [lane.label for lane in picture.groups[0].lanes] == ["prepare", "decide"]
    assert lane_of(picture, "reference_eval").status is StageStatus.FAILED


moments = st.none() | st.integers(0, 100)


@given(moments, moments, moments, st.sampled_from(list(StageStatus)), moments, moments, moments)
def test_whatever_is_written_no_span_is_negative_or_outside(
    submitted: int | None,
    started: int | None,
    finished: int | None,
    status: StageStatus,
    granted: int | None,
    released: int | None,
    down: int | None,
) -> None:
    def when(seconds: int | None) -> str | None:
        return None if seconds is None else at(seconds)

    stage = Stage(status=status, **times(submitted, started, finished))
    lease = LeaseTimes(gpus=1, asked_at=at(5), granted_at=when(granted), released_at=when(released))
    one = nim(stages={StageName.DEPLOY: stage}, leases={"serving": lease}, undeployed_at=when(down))
    picture = timeline(run(), [one], at(50))
    for lane in (lane for group in picture.groups for lane in group.lanes):
        for span in lane.spans:
            assert picture.start <= span.start <= span.end <= picture.end

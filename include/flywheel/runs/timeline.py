"""When what of a run happened: lanes of spans, from the documents alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from include.flywheel.runs.documents import LeaseTimes, NimDocument, RunDocument, Stage
from include.flywheel.runs.states import StageName, StageStatus


class SpanKind(StrEnum):
    """What a stretch of time went by with."""

    GPU_WAIT = "waiting for GPUs"
    PENDING = "pending at the service"
    WORK = "at work"
    SERVED = "deployed, serves the evaluations"


@dataclass(frozen=True)
class Span:
    """From `start` to `end`; `open` where it has not ended."""

    kind: SpanKind
    start: datetime
    end: datetime
    open: bool = False

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True)
class Lane:
    """One line of the picture. `status` is None for the run's own steps; `gpus`: what was leased for it."""

    label: str
    spans: tuple[Span, ...]
    status: StageStatus | None = None
    gpus: int | None = None

    def seconds(self, kind: SpanKind) -> float:
        """How long it spent with that."""
        return sum(span.seconds for span in self.spans if span.kind is kind)


@dataclass(frozen=True)
class Group:
    """Lanes that belong together: those of the run, of the reference, of one NIM."""

    name: str
    lanes: tuple[Lane, ...]


@dataclass(frozen=True)
class Timeline:
    """The whole run, from the first to the last moment that any lane has."""

    start: datetime
    end: datetime
    groups: tuple[Group, ...]

    @property
    def seconds(self) -> float:
        """From start to end."""
        return (self.end - self.start).total_seconds()


_STAGES = {
    StageName.CUSTOMIZE: "training",
    StageName.DEPLOY: "serving",
    StageName.BASE_EVAL: None,
    StageName.ICL_EVAL: None,
    StageName.ADAPTER: None,
    StageName.CUSTOMIZED_EVAL: None,
}


def timeline(run: RunDocument, nims: Sequence[NimDocument], until: str) -> Timeline:
    """The run's picture. What has not ended goes on to `until`, or to the run's end where that is earlier."""
    limit = _at(run.everything_down_at or run.finished_at or until)
    groups = [Group("run", tuple(_steps(run, limit)))]
    if run.reference is not None:
        stage = run.reference.stage
        lane = Lane(StageName.REFERENCE_EVAL.value, tuple(_of_stage(stage, limit)), stage.status)
        groups.append(Group(f"{run.reference.model} (production)", (lane,)))
    groups += [Group(nim.nim, tuple(_of_nim(nim, limit))) for nim in nims]
    moments = [_at(run.created_at), limit] if run.status.is_over else [_at(run.created_at), _at(until)]
    moments += [
        at for group in groups for lane in group.lanes for span in lane.spans for at in (span.start, span.end)
    ]
    return Timeline(min(moments), max(moments), tuple(group for group in groups if group.lanes))


def _steps(run: RunDocument, limit: datetime) -> Iterator[Lane]:
    for step, times in sorted(run.steps.items(), key=lambda item: item[1].started_at):
        yield Lane(step.value, tuple(_span(SpanKind.WORK, times.started_at, times.finished_at, limit)))


def _of_nim(nim: NimDocument, limit: datetime) -> Iterator[Lane]:
    end = limit if nim.undeployed_at is None else _at(nim.undeployed_at)
    for name, kind in _STAGES.items():
        stage = nim.stages.get(name)
        lease = nim.leases.get(kind) if kind else None
        if stage is None and lease is None:
            continue
        spans = [] if lease is None else list(_of_lease(lease, end))
        spans += [] if stage is None else list(_of_stage(stage, end))
        if name is StageName.DEPLOY and stage is not None and stage.status is StageStatus.COMPLETED:
            spans += _span(SpanKind.SERVED, stage.finished_at, nim.undeployed_at, limit)
        status = StageStatus.PENDING if stage is None else stage.status
        yield Lane(name.value, tuple(spans), status, None if lease is None else lease.gpus)


def _of_lease(lease: LeaseTimes, limit: datetime) -> Iterator[Span]:
    yield from _span(SpanKind.GPU_WAIT, lease.asked_at, lease.granted_at or lease.released_at, limit)


def _of_stage(stage: Stage, limit: datetime) -> Iterator[Span]:
    """Pending, then at work. A job that was never seen to begin was too quick: all of it is work."""
    if stage.submitted_at is None:
        return
    if stage.started_at is None:
        over = stage.status in {StageStatus.COMPLETED, StageStatus.FAILED}
        kind = SpanKind.WORK if over else SpanKind.PENDING
        yield from _span(kind, stage.submitted_at, stage.finished_at, limit)
        return
    yield from _span(SpanKind.PENDING, stage.submitted_at, stage.started_at, limit)
    yield from _span(SpanKind.WORK, stage.started_at, stage.finished_at, limit)


def _span(kind: SpanKind, start: str | None, end: str | None, limit: datetime) -> Iterator[Span]:
    """Nothing where it has not begun. Clocks of two machines may differ: no span ends before it begins."""
    if start is not None:
        begun = _at(start)
        yield Span(kind, begun, max(begun, limit if end is None else _at(end)), open=end is None)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)

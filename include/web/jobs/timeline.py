"""`GET …/timeline`: when what of a run happened."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from include.flywheel.runs import timeline as domain
from include.flywheel.runs.documents import now
from include.flywheel.runs.states import StageStatus
from include.stores.runs import open_runs
from include.web.jobs.visible import VisibleRun
from include.web.responses import refusals

router = APIRouter(tags=["jobs"])


class Span(BaseModel):
    """A stretch of time. `open`: it has not ended, and `end` is the moment of the answer."""

    kind: domain.SpanKind = Field(examples=["at work"])
    start: datetime
    end: datetime
    seconds: float = Field(examples=[61.5])
    open: bool


class Lane(BaseModel):
    """One step of the run, or one stage of a NIM. `gpus`: what was leased for it."""

    label: str = Field(examples=["customize"])
    status: StageStatus | None = Field(description="null for the run's own steps.", examples=["completed"])
    gpus: int | None = Field(examples=[2])
    spans: list[Span]


class Group(BaseModel):
    """Lanes that belong together: those of the run, of the production model, of one NIM."""

    name: str = Field(examples=["meta/llama-3.2-1b-instruct"])
    lanes: list[Lane]


class Timeline(BaseModel):
    """The whole run. Times are UTC."""

    job_id: str
    start: datetime
    end: datetime
    seconds: float = Field(examples=[412.2])
    groups: list[Group]


@router.get("/api/jobs/{job_id}/timeline", summary="When what happened", responses=refusals(400, 404))
def read_timeline(run: VisibleRun) -> Timeline:
    """Spans of every step and stage: waiting for GPUs, pending at the service, at work, deployed."""
    found = domain.timeline(run, open_runs().nims(run.job_id), now())
    return Timeline(
        job_id=run.job_id,
        start=found.start,
        end=found.end,
        seconds=found.seconds,
        groups=[
            Group(name=group.name, lanes=[_lane(lane) for lane in group.lanes]) for group in found.groups
        ],
    )


def _lane(lane: domain.Lane) -> Lane:
    spans = [
        Span(kind=span.kind, start=span.start, end=span.end, seconds=span.seconds, open=span.open)
        for span in lane.spans
    ]
    return Lane(label=lane.label, status=lane.status, gpus=lane.gpus, spans=spans)

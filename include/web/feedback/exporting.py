"""The export endpoint's request and answer, and the export itself, away from the event loop."""

from __future__ import annotations

import asyncio
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import HTTPException
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from include.flywheel.feedback.export.manifest import Manifest
from include.flywheel.feedback.export.names import checked_name, inside_project
from include.flywheel.feedback.export.run import run_export
from include.flywheel.feedback.export.spec import (
    DEFAULT_DAYS,
    ExportSpec,
    Filters,
    Format,
    Uncorrected,
    Weights,
)
from include.flywheel.feedback.texts import AnyModel, Intent, Project
from include.stores.feedback import FeedbackPlace, connect
from include.stores.feedback_exports import open_export_folder
from include.web.feedback.bodies import refused
from include.web.feedback.callers import FeedbackCaller

_YEARS = range(1970, 2201)


def _moment(value: Any) -> Any:
    """A date or time of ISO 8601; UTC where it says nothing else."""
    if value is None or value == "":
        return None
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError("is no ISO 8601 date or time; send for example 2026-11-20T00:00:00Z") from None
    if found.year not in _YEARS:
        raise ValueError(f"lies outside the years {_YEARS[0]} to {_YEARS[-1]}")
    return found if found.tzinfo else found.replace(tzinfo=UTC)


Moment = Annotated[datetime | None, BeforeValidator(_moment)]


class ExportRequest(BaseModel):
    """What to export. Times without a zone are in UTC; the start belongs to the range, the end does not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    output_path: str | None = Field(
        default=None,
        description="A name inside the export root, such as `weekly/2026-11-20.jsonl`; none: named by time.",
    )
    start_date: Moment = Field(default=None, description="Default: 7 days before the end.")
    end_date: Moment = Field(default=None, description="Default: now.")
    format: Format = Format.JSONL
    min_query_chars: int = Field(default=10, ge=0, le=1_000_000)
    min_response_chars: int = Field(default=20, ge=0, le=1_000_000)
    deduplicate: bool = True
    uncorrected_negatives: Uncorrected = Uncorrected.INCLUDE
    weights: Weights = Weights()
    model: AnyModel = None
    intent: Intent = None
    project: Project = None
    seed: int = Field(default=0, ge=0, le=2**63 - 1)


class ExportAnswer(BaseModel):
    """What was written. `output_path` is the name inside the export root."""

    status: Literal["success"] = "success"
    output_path: str
    total_samples: int
    positive_samples: int
    negative_samples: int
    uncorrected_negative_samples: int
    total_weight: float
    filtered_out_samples: int
    start_date: datetime
    end_date: datetime


async def export(
    place: FeedbackPlace, asked: ExportRequest, caller: FeedbackCaller, turn: asyncio.Lock
) -> ExportAnswer:
    """Write the files. 422 for a range or a name that cannot be; raises ExportRefused, ConfigError.

    A caller of one project writes into that project's own folder.

    :param turn: exports read much and write files: one after the other.
    """
    now = datetime.now(UTC)
    end = asked.end_date or now
    start = asked.start_date or end - timedelta(days=DEFAULT_DAYS)
    text = asked.output_path or f"finetuning-{now:%Y-%m-%dT%H%M%S.%f}Z.jsonl"
    # First as it was sent, so that a refusal shows the caller's own words.
    name = checked_name(text)
    if caller.project is not None:
        name = checked_name(inside_project(caller.project, text))
    spec = _spec(asked, start, end, caller.project_of(asked.project))

    def work() -> Manifest:
        return run_export(lambda: closing(connect(place)), spec, open_export_folder(), name)

    async with turn:
        manifest = await asyncio.to_thread(work)
    counts = manifest.counts
    return ExportAnswer(
        output_path=manifest.output_path,
        total_samples=counts.total_samples,
        positive_samples=counts.positive_samples,
        negative_samples=counts.negative_samples,
        uncorrected_negative_samples=counts.uncorrected_negative_samples,
        total_weight=counts.total_weight,
        filtered_out_samples=counts.filtered_out_samples,
        start_date=start,
        end_date=end,
    )


def _spec(asked: ExportRequest, start: datetime, end: datetime, project: str | None) -> ExportSpec:
    if start >= end:
        raise HTTPException(
            422,
            f"`start_date` = {start.isoformat()} is not before `end_date` = {end.isoformat()}: give an "
            "earlier start",
        )
    try:
        filters = Filters(
            start=start,
            end=end,
            model=asked.model,
            intent=asked.intent,
            project=project,
            min_query_chars=asked.min_query_chars,
            min_response_chars=asked.min_response_chars,
            deduplicate=asked.deduplicate,
        )
    except ValidationError as error:
        raise refused("body", error) from None
    return ExportSpec(
        filters=filters,
        weights=asked.weights,
        format=asked.format,
        uncorrected_negatives=asked.uncorrected_negatives,
        seed=asked.seed,
    )

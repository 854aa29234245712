"""What run and NIM documents are made of. Times are UTC, ISO 8601 with milliseconds; scores are 0 to 1."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field

from include.flywheel.evaluation.classes import ClassScore
from include.flywheel.runs.states import StageStatus

_TIME = "2026-03-02T09:30:00.000+00:00"
_LATER = "2026-03-02T09:42:10.250+00:00"


def now() -> str:
    """This moment, UTC, ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Document(BaseModel):
    """Refuses fields that the schema does not know."""

    model_config = ConfigDict(extra="forbid")


class Stage(Document):
    """One stage of one NIM, or of the reference.

    `attempt` is raised, by compare-and-set, only when the remote job found had failed or was cancelled.
    """

    status: StageStatus = Field(
        default=StageStatus.PENDING, description="How far it is.", examples=["running"]
    )
    attempt: int = Field(default=1, description="The remote job's number, from 1.", examples=[1])
    remote_id: str | None = Field(
        default=None,
        description="Name of what NeMo made for it: a job id, or `namespace/name` of a deployment.",
        examples=["eval-7Gq2"],
    )
    remote_uri: str | None = Field(
        default=None, description="Where NeMo tells of it.", examples=["/v1/evaluation/jobs/eval-7Gq2"]
    )
    detail: str | None = Field(
        default=None,
        description="What the service says, e.g. why a job is pending; or why the stage did not run.",
        examples=["waiting for a node"],
    )
    progress_percent: float | None = Field(
        default=None, description="As the service reports it, 0 to 100.", examples=[62.5]
    )
    figures: dict[str, float] = Field(
        default={},
        description="What else the service last measured, e.g. `epochs_completed`, `steps_completed`, "
        "`train_loss`, `val_loss`.",
        examples=[{"epochs_completed": 2, "steps_completed": 114}],
    )
    submitted_at: str | None = Field(
        default=None, description="When the service had accepted it.", examples=[_TIME]
    )
    started_at: str | None = Field(
        default=None, description="When the service was first seen at work on it.", examples=[_TIME]
    )
    finished_at: str | None = Field(default=None, description="When its end was seen.", examples=[_LATER])
    scores: dict[str, float] = Field(
        default={}, description="Means over the items, by score.", examples=[{"function_name": 0.93}]
    )
    classes: list[ClassScore] = Field(
        default=[],
        description="Of a classification, for each label: `items`, `predicted`, `correct`, `precision`, "
        "`recall`, `f1`.",
        examples=[[]],
    )
    items: int | None = Field(default=None, description="Items that were scored.", examples=[100])
    error: str | None = Field(
        default=None, description="Why it failed, with the remedy.", examples=["401 from the proxy: …"]
    )


class LeaseTimes(Document):
    """When a NIM asked for GPUs, got them and gave them back. Without a GPU budget there is none."""

    gpus: int = Field(description="How many GPUs.", examples=[2])
    asked_at: str = Field(description="When it got its place in the line.", examples=[_TIME])
    granted_at: str | None = Field(default=None, description="When it got the GPUs.", examples=[_LATER])
    released_at: str | None = Field(
        default=None, description="When it gave them back, or left the line.", examples=[_LATER]
    )
    detail: str | None = Field(
        default=None, description="Why it waits.", examples=["0 of 4 GPUs are free, needs 2"]
    )

    def waited_seconds(self, until: str) -> float:
        """Seconds between the question and the GPUs, or the end of waiting, at the latest `until`."""
        end = self.granted_at or self.released_at or until
        waited = datetime.fromisoformat(end) - datetime.fromisoformat(self.asked_at)
        return max(waited.total_seconds(), 0.0)


class StepTimes(Document):
    """When one of the run's own steps was at work: the last time that it had something to do."""

    started_at: str = Field(description="When it began.", examples=[_TIME])
    finished_at: str | None = Field(default=None, description="When it was done.", examples=[_LATER])


class Deletion(Document):
    """That somebody asked for the run's removal, and what of it is still there."""

    requested_at: str = Field(description="When it was first asked for.", examples=[_LATER])
    requested_by: str = Field(description="By whom.", examples=["admin"])
    tried_at: str = Field(description="When the last try began.", examples=[_LATER])
    left: list[str] = Field(
        description="What is not removed yet, and why; while a try goes on, all that it removes.",
        examples=[["data set: Data Store at …: 'delete repo …' failed (HTTP 503)"]],
    )

"""What is written down about a run: one document for the run, one for each of its NIMs.

Times are UTC, ISO 8601 with milliseconds. Scores are 0 to 1.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from include.flywheel.runs.states import NimStatus, RunStatus, StageName, StageStatus

SCHEMA_VERSION = 1


def now() -> str:
    """This moment, UTC, ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Document(BaseModel):
    """Refuses fields that the schema does not know."""

    model_config = ConfigDict(extra="forbid")


class Stage(Document):
    """One stage of one NIM (or of the reference).

    `attempt` is raised, by compare-and-set, only when the remote job found had failed or was cancelled.
    """

    status: StageStatus = StageStatus.PENDING
    attempt: int = 1
    remote_id: str | None = None
    detail: str | None = Field(default=None, description="What the service says, e.g. why a job is pending.")
    progress_percent: float | None = None
    submitted_at: str | None = None
    finished_at: str | None = None
    scores: dict[str, float] = {}
    items: int | None = None
    error: str | None = None


class NimDocument(Document):
    """One NIM in one run."""

    job_id: str
    nim: str
    slug: str
    order: int
    status: NimStatus = NimStatus.PENDING
    stages: dict[StageName, Stage] = {}
    customized_model: str | None = None
    closed_at_try: int = Field(
        default=0,
        description="The undeploying try that saw this NIM last; a submit that reads it set cancels its job.",
    )
    error: str | None = None
    undeployed_at: str | None = None


class Reference(Document):
    """The production model, asked again."""

    model: str
    stage: Stage = Stage()


class RunDocument(Document):
    """One turn of the wheel."""

    schema_version: int = SCHEMA_VERSION
    job_id: str
    dag_id: str
    run_id: str
    client_id: str
    workload_id: str
    status: RunStatus = RunStatus.PENDING
    conf: dict[str, Any] = {}
    resolved: dict[str, Any] | None = None
    versions: dict[str, str] = {}
    simulated: bool | None = Field(default=None, description="Whether the local stand-in took NeMo's place.")
    created_at: str
    started_at: str | None = None
    finished_at: str | None = None
    cancel_requested_at: str | None = None
    everything_down_at: str | None = None
    dataset: dict[str, Any] | None = Field(default=None, description="Ledger, files, digests.")
    dataset_uri: str | None = None
    reference: Reference | None = None
    decision: dict[str, Any] | None = None
    winners: list[dict[str, Any]] = []
    notification: dict[str, Any] | None = None
    error: str | None = None
    events: list[str] = Field(default=[], description="What happened: `<time> <words>`, oldest first.")

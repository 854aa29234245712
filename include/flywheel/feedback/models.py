"""Judgements of answers, as they are submitted, changed, stored and counted."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from include.flywheel.feedback.texts import (
    AnyModel,
    Identifier,
    Intent,
    LongText,
    Memory,
    Metadata,
    Model,
    OptionalText,
    Project,
    Reason,
    ShortIdentifier,
    Tools,
    empty_is_none,
    refuse_truth,
)

Rating = Annotated[Literal[1, -1], BeforeValidator(refuse_truth)]
"""Thumbs up, thumbs down."""


class Category(StrEnum):
    """What was wrong with the answer."""

    HALLUCINATION = "hallucination"
    WRONG_TOOL = "wrong_tool"
    MISSING_CITATION = "missing_citation"
    POLICY_DENIAL = "policy_denial"


_MaybeCategory = Annotated[Category | None, BeforeValidator(empty_is_none)]


class FeedbackCreate(BaseModel):
    """One judgement. An optional text that is empty counts as not given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    query: LongText
    response: LongText
    model: Model
    rating: Rating
    reason: Reason = None
    category: _MaybeCategory = None
    expected_answer: OptionalText = None
    memory_used: Memory = 0
    tools_called: Tools = []
    user_id: Identifier = None
    session_id: Identifier = None
    intent: Intent = None
    project: Project = None
    metadata: Metadata = {}
    trace_id: Identifier = Field(default=None, description="Trace of the production log that this judges.")
    client_id: ShortIdentifier = None
    workload_id: ShortIdentifier = None


class FeedbackUpdate(BaseModel):
    """What may be changed; what is not sent stays. null empties, but for the rating. `metadata` is merged."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rating: Rating | None = None
    reason: Reason = None
    category: _MaybeCategory = None
    expected_answer: OptionalText = None
    intent: Intent = None
    project: Project = None
    metadata: Metadata = {}

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError(f"nothing to change: send one of {', '.join(type(self).model_fields)}")
        if "rating" in self.model_fields_set and self.rating is None:
            raise ValueError("`rating` cannot be emptied: send 1 or -1, or leave it out")
        return self


class Receipt(BaseModel):
    """What a submission or a change answers."""

    status: Literal["success"] = "success"
    feedback_id: UUID
    id: int
    timestamp: datetime
    rating: Rating
    model: str


class FeedbackStored(BaseModel):
    """A row as it is stored; times in UTC."""

    feedback_id: UUID
    id: int
    timestamp: datetime
    updated_at: datetime
    query: str
    response: str
    model: str
    rating: Rating
    reason: str | None
    category: Category | None
    expected_answer: str | None
    memory_used: int = Field(description="bytes")
    tools_called: list[str]
    user_id: str | None
    session_id: str | None
    intent: str | None
    project: str | None
    metadata: dict[str, Any]
    trace_id: str | None
    client_id: str | None
    workload_id: str | None


class Accuracy(BaseModel):
    """The share of thumbs-up of one model, intent and project."""

    model: str
    intent: str | None
    project: str | None
    total_feedback: int
    positive_feedback: int
    negative_feedback: int
    accuracy_percentage: float
    last_updated: datetime


class Selection(BaseModel):
    """Which rows are counted; what is not given is any."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: AnyModel = None
    intent: Intent = None
    project: Project = None


class Stats(BaseModel):
    """Counts of the days since `days` days ago, whole days in UTC: the day that lies so far back included."""

    total_feedback: int
    positive_count: int
    negative_count: int
    positive_percentage: float
    avg_memory_used: float = Field(description="bytes")
    unique_users: int
    unique_sessions: int
    category_counts: dict[str, int]
    days: int
    filters: dict[str, str]


class ExportNamed(BaseModel):
    """A file that was written from the table: an export, or an archive."""

    export_id: UUID
    kind: Literal["export", "archive"]
    path: str
    created_at: datetime


class Erasure(BaseModel):
    """What became of a user's feedback, and the files that still hold some of it."""

    status: Literal["success"] = "success"
    deleted: int
    exports: list[ExportNamed]

"""What an export contains: filters, weights, files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from include.flywheel.feedback.texts import AnyModel, Intent, Project

DEFAULT_DAYS = 7
"""The range of an export that names none, days."""


class Format(StrEnum):
    """Which files are written."""

    JSONL = "jsonl"
    """Weighted fine-tuning examples."""
    PREFERENCES = "preferences"
    """Ratings for KTO, and pairs for DPO where a correction exists."""
    NEMO = "nemo"
    """Fine-tuning examples in which weights became copies: NeMo Customizer takes none."""
    ALL = "all"


class Uncorrected(StrEnum):
    """What becomes of a thumbs-down without an expected answer in the weighted file."""

    INCLUDE = "include"
    """The disliked answer itself is exported at the weight of a thumbs-down, and marked."""
    EXCLUDE = "exclude"
    """It is left to the preferences."""


class Filters(BaseModel):
    """Which feedback is exported. `start` belongs to the range, `end` does not."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    start: AwareDatetime
    end: AwareDatetime
    model: AnyModel = None
    intent: Intent = None
    project: Project = None
    min_query_chars: int = Field(default=10, ge=0, le=1_000_000)
    min_response_chars: int = Field(
        default=20, ge=0, le=1_000_000, description="Of the answer that is trained on."
    )
    deduplicate: bool = Field(
        default=True, description="Of rows with equal query and response the newest stays."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.start >= self.end:
            raise ValueError(
                f"start {self.start.isoformat()} is not before end {self.end.isoformat()}; give an "
                "earlier start"
            )
        return self

    @classmethod
    def last(cls, days: int = DEFAULT_DAYS, *, now: datetime | None = None) -> Filters:
        """The last `days` up to now, with the other filters as they are by default."""
        end = now or datetime.now(UTC)
        return cls(start=end - timedelta(days=days), end=end)


class Weights(BaseModel):
    """How much an example counts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    thumbs_up: float = Field(default=2.0, gt=0, le=100)
    thumbs_down: float = Field(default=0.5, gt=0, le=100)


class ExportSpec(BaseModel):
    """One export. The same rows and the same spec give the same bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    filters: Filters
    weights: Weights = Weights()
    format: Format = Format.JSONL
    uncorrected_negatives: Uncorrected = Uncorrected.INCLUDE
    seed: int = Field(default=0, ge=0, le=2**63 - 1, description="Of the copies in the NeMo file.")

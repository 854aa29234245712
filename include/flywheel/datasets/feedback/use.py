"""What users' judgements may change in a data set."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


class FeedbackUse(StrEnum):
    """What becomes of a training row whose answer was judged."""

    OFF = "off"
    """Nothing: feedback is not read."""
    FILTER = "filter"
    """Disliked answers leave, corrections take their place."""
    WEIGHT = "weight"
    """The same, and answers that were liked are written more often."""


def _off_in_yaml(value: Any) -> Any:
    """YAML reads a bare `off` as false."""
    return FeedbackUse.OFF if value is False else value


class WorkloadFeedback(BaseModel):
    """What feedback does to a workload's training split. The holdout is never changed by it."""

    model_config = ConfigDict(extra="forbid")

    use: Annotated[FeedbackUse, BeforeValidator(_off_in_yaml)] = Field(
        default=FeedbackUse.FILTER,
        description="`filter`: answers with a thumbs-down leave the training split, a user's expected answer "
        "takes their place. `weight`: also, answers with a thumbs-up are written twice. `off`: nothing.",
    )

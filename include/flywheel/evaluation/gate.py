"""How sure a verdict must be: the settings of the gate."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MIN_CONVERSATIONS = 10
"""The least number of independent conversations that any verdict but INCONCLUSIVE may rest on."""


class Gate(BaseModel):
    """Non-inferiority gate, in units of the primary score (0..1).

    Scores are compared as fractions: a margin of 0.05 is five points of a hundred.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    margin: float = Field(
        default=0.05,
        ge=0.0,
        lt=1.0,
        description="How much worse than the production model a candidate may be (0.05: 5 points).",
    )
    alpha: float = Field(
        default=0.05,
        gt=0.0,
        lt=0.5,
        description="Chance, over the whole run, of promoting a model that is worse by the margin or more.",
    )
    resamples: int = Field(
        default=10_000,
        ge=1_000,
        le=1_000_000,
        description="Resamples of the conversations behind each interval; more where alpha needs it.",
    )
    guardrails: dict[str, Annotated[float, Field(ge=0.0, lt=1.0)]] = Field(
        default={},
        max_length=20,
        exclude_if=lambda found: not found,
        description="Further scores by name with the margin of each (`function_name_accuracy: 0.02`): a "
        "candidate that may be worse in one of them is not promotable.",
    )
    min_conversations: int = Field(
        default=MIN_CONVERSATIONS,
        ge=MIN_CONVERSATIONS,
        description="With fewer conversations than this the verdict is INCONCLUSIVE.",
    )

"""The documents around a verdict: what it is computed from and what it says."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from include.flywheel.evaluation.gate import Gate
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import PRIMARY_SCORE, Stage


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Verdict(StrEnum):
    """What may be said of a candidate, and of a run."""

    PROMOTABLE = "PROMOTABLE"
    REJECTED = "REJECTED"
    INCONCLUSIVE = "INCONCLUSIVE"


class BarKind(StrEnum):
    """What the candidates are measured against."""

    REFERENCE = "reference"
    MIN_QUALITY = "min_quality"
    NONE = "none"


class MissingStage(_Document):
    """A NIM's stage that has no scores, and why."""

    nim: str
    stage: Stage
    reason: str


class DecisionInputs(BaseModel):
    """Everything that a verdict depends on.

    `min_quality` is the product's threshold for the primary score (0..1). Prices are in US dollars per
    million tokens and sizes in billions of parameters, by NIM; they only choose among candidates that
    passed, and only where they are known for all of those.
    """

    model_config = ConfigDict(extra="forbid")

    candidates: list[StageScores]
    missing: list[MissingStage] = Field(default_factory=list)
    reference: StageScores | None = None
    reference_missing_reason: str | None = None
    min_quality: float | None = Field(default=None, ge=0.0, le=1.0)
    gate: Gate = Field(default_factory=Gate)
    seed: int = Field(default=0, ge=0)
    primary_score: str = PRIMARY_SCORE
    price_per_million_tokens_usd: dict[str, float] | None = None
    parameters_billions: dict[str, float] | None = None

    @model_validator(mode="after")
    def _each_stage_once(self) -> Self:
        seen: set[tuple[str, Stage]] = set()
        keys = [(scored.nim, scored.stage) for scored in self.candidates]
        keys += [(missed.nim, missed.stage) for missed in self.missing]
        for nim, stage in keys:
            if stage is Stage.REFERENCE:
                raise ValueError(
                    f"{nim} stands among the candidates as the reference; give it as `reference`"
                )
            if (nim, stage) in seen:
                raise ValueError(f"{nim} at {stage} is given twice; give each stage of a NIM once")
            seen.add((nim, stage))
        return self


class Estimate(_Document):
    """A mean with its interval, as fractions, rounded to six decimals."""

    value: float
    low: float
    high: float


class Bar(_Document):
    """What the candidates were measured against. The logged answers themselves would score `ideal`."""

    kind: BarKind
    ideal: float = 1.0
    model: str | None = None
    score: Estimate | None = None
    threshold: float | None = None
    items: int = 0
    items_left_out: int = 0
    """Items that the reference did not answer; no candidate is compared on them."""
    note: str | None = None
    """Why the production model is not the bar, where it should have been."""
    remedy: str | None = None
    """What to configure, where there is no bar."""


class Guardrail(_Document):
    """Whether a candidate is not worse than the production model in one further score."""

    score: str
    margin: float
    holds: bool
    difference: Estimate | None = None
    """Candidate minus bar on the same items; None where it could not be measured."""
    reason: str


class CandidateDecision(_Document):
    """The verdict of one NIM at one stage, with all that it rests on."""

    nim: str
    model: str
    stage: Stage
    verdict: Verdict
    reason: str
    rank: int
    """Position by the primary score among the run's candidates, from 1; equal scores share a rank."""
    score: Estimate
    difference: Estimate | None
    """Candidate minus bar on the same items; None without a bar."""
    scores: dict[str, float]
    items: int
    conversations: int
    errors: int
    guardrails: list[Guardrail] = Field(default=[], exclude_if=lambda found: not found)
    judged: bool = True
    """False where too many items got no answer for the score to say anything of the model."""


class Winner(_Document):
    """The candidate that was chosen among those that passed."""

    nim: str
    model: str
    stage: Stage
    score: Estimate
    difference: Estimate
    rule: str
    """How it was chosen, in words."""


class Decision(_Document):
    """The verdict of a run. The same inputs give the same document, byte for byte."""

    schema_version: int = 1
    verdict: Verdict
    reason: str
    primary_score: str
    bar: Bar
    candidates: list[CandidateDecision]
    missing: list[MissingStage]
    winner: Winner | None
    gate: Gate
    seed: int
    level: float
    """One-sided level of each test, after the correction for several NIMs."""
    interval_confidence: float
    """Confidence of every interval here: two-sided, 1 - 2·level."""
    resamples: int
    correction: str
    """How the chance of a false promotion is held over the candidates, in words."""

    def candidate(self, nim: str, stage: Stage) -> CandidateDecision | None:
        """The verdict of one NIM at one stage; None where it was not scored."""
        return next((c for c in self.candidates if (c.nim, c.stage) == (nim, stage)), None)

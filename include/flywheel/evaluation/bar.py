"""What the candidates are measured against, and how far each of them is from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from include.flywheel.errors import DecisionError
from include.flywheel.evaluation.bootstrap import Interval, difference_interval, mean_interval
from include.flywheel.evaluation.decision import Bar, BarKind, DecisionInputs, Estimate
from include.flywheel.evaluation.scores import StageScores, shown
from include.flywheel.evaluation.words import percent

T = TypeVar("T")

MAX_ERROR_SHARE = 0.1
"""With a greater share of unanswered items a stage says more about its service than about its model."""

NO_BAR_REMEDY = (
    "serve the production model on the NIM proxy and name it in the workload's `bar.production_model`, "
    "or set its `non_negotiable.min_quality` (for one run: `min_quality` in the conf)"
)

DECIMALS = 6
"""Documents carry this many, so that the last bits of a sum never show."""


@dataclass(frozen=True, slots=True)
class Measure:
    """How every interval of one decision is computed."""

    score: str
    level: float
    resamples: int
    seed: int

    def mean(self, values: Sequence[float], conversations: Sequence[str]) -> Estimate:
        """Mean of scores (0..1) with its interval."""
        return _estimate(
            mean_interval(values, conversations, level=self.level, resamples=self.resamples, seed=self.seed)
        )

    def difference(
        self, candidate: Sequence[float], reference: Sequence[float], conversations: Sequence[str]
    ) -> Estimate:
        """Mean paired difference (-1..1) with its interval."""
        return _estimate(
            difference_interval(
                candidate,
                reference,
                conversations,
                level=self.level,
                resamples=self.resamples,
                seed=self.seed,
            )
        )


@dataclass(frozen=True, slots=True)
class Compared:
    """A candidate against the bar; `difference` is None without a bar."""

    difference: Estimate | None
    items: int
    conversations: int


def check_items(stages: Iterable[StageScores]) -> None:
    """Raise DecisionError unless every stage was scored on the same items of the same conversations."""
    first: StageScores | None = None
    for stage in stages:
        if first is None:
            first = stage
            continue
        named = f"{stage.nim} at {stage.stage} and {first.nim} at {first.stage}"
        if odd := sorted(set(stage.item_ids) ^ set(first.item_ids)):
            raise DecisionError(
                f"{named} were not scored on the same items: only one of them has {shown(odd)}; "
                "evaluate both on the same file"
            )
        if stage.conversation_ids != first.conversation_ids:
            raise DecisionError(
                f"{named} give the same items different conversations; evaluate both on the same file"
            )


def choose_bar(inputs: DecisionInputs, measure: Measure) -> Bar:
    """The bar of a run: the reference where it was answered, else the threshold, else none."""
    reference, note = inputs.reference, inputs.reference_missing_reason
    if reference is not None and not mostly_unanswered(reference):
        answered = _answered(reference, measure.score)
        values = reference.values(measure.score)
        return Bar(
            kind=BarKind.REFERENCE,
            model=reference.model,
            score=measure.mean(_pick(values, answered), _pick(reference.conversation_ids, answered)),
            items=len(answered),
            items_left_out=reference.items - len(answered),
        )
    if reference is not None:
        note = unanswered(reference)
    if inputs.min_quality is not None:
        return Bar(kind=BarKind.MIN_QUALITY, threshold=inputs.min_quality, note=note)
    return Bar(kind=BarKind.NONE, note=note, remedy=NO_BAR_REMEDY)


def compare(candidate: StageScores, bar: Bar, reference: StageScores | None, measure: Measure) -> Compared:
    """How far a candidate is from the bar, on the items that the reference answered.

    Items that the candidate did not answer count against it; items that could not be scored, of either, are
    left out. `candidate` and `reference` have the same items (`check_items`).
    """
    values = candidate.values(measure.score)
    if bar.kind is BarKind.REFERENCE and reference is not None:
        answered = sorted(set(_answered(reference, measure.score)) & set(candidate.scored(measure.score)))
        conversations = _pick(candidate.conversation_ids, answered)
        paired = _pick(reference.values(measure.score), answered)
        difference = measure.difference(_pick(values, answered), paired, conversations)
        return Compared(difference, len(answered), len(set(conversations)))
    own = own_score(candidate, measure)
    distance = None if bar.threshold is None else _minus(own, bar.threshold)
    scored = candidate.scored(measure.score)
    return Compared(distance, len(scored), len(set(_pick(candidate.conversation_ids, scored))))


def own_score(stage: StageScores, measure: Measure) -> Estimate:
    """The mean of what could be scored of a stage, with its interval."""
    scored = stage.scored(measure.score)
    return measure.mean(_pick(stage.values(measure.score), scored), _pick(stage.conversation_ids, scored))


def mostly_unanswered(stage: StageScores) -> bool:
    """Whether so many items got no answer that the score cannot be judged."""
    return stage.errors > MAX_ERROR_SHARE * stage.items


def unanswered(stage: StageScores) -> str:
    """The sentence that says so."""
    return (
        f"{stage.model} gave no answer to {stage.errors} of {stage.items} items, more than "
        f"{percent(MAX_ERROR_SHARE)}; read the evaluation job's log and run again"
    )


def _answered(stage: StageScores, score: str) -> list[int]:
    errors = set(stage.error_item_ids)
    return [index for index in stage.scored(score) if stage.item_ids[index] not in errors]


def _pick(values: Sequence[T], indices: Sequence[int]) -> list[T]:
    return [values[index] for index in indices]


def _estimate(interval: Interval) -> Estimate:
    return Estimate(
        value=round(interval.value, DECIMALS),
        low=round(interval.low, DECIMALS),
        high=round(interval.high, DECIMALS),
    )


def _minus(estimate: Estimate, threshold: float) -> Estimate:
    return Estimate(
        value=round(estimate.value - threshold, DECIMALS),
        low=round(estimate.low - threshold, DECIMALS),
        high=round(estimate.high - threshold, DECIMALS),
    )

"""What is measured for each kind of workload: what the evaluator is asked, and how its scores are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from include.flywheel.datasets.kinds import RETRIEVAL, Kind
from include.flywheel.errors import DecisionError
from include.flywheel.evaluation import specs

SIMILARITY = "similarity"
"""A judge's grade of how near an answer is to the logged one."""

CORRECTNESS = "tool_calling_correctness"
"""A judge's grade of tool calls."""

F1_MACRO = "f1_macro"

# Grades are whole numbers of this range; (grade - LOWEST) / (HIGHEST - LOWEST) is the score that decides.
LOWEST_GRADE, HIGHEST_GRADE = 1, 10


@dataclass(frozen=True, slots=True)
class KindMeasure:
    """What is measured for one kind of workload.

    :param task: the name of the task in the evaluator's config and results.
    :param metric: the name of the metric in them.
    :param shown: the evaluator's name of each score → the name that people and the jobs API see.
    :param config: builds the evaluator's config for one file.
    :param primary: the score that decides.
    :param judged: the score of a judge, where one is configured; None: no judge is asked.
    :param judge_decides: whether the judge's score is the primary one where a judge is configured.
    :param classes: whether precision, recall and F1 are counted for each label.
    """

    kind: str
    task: str
    metric: str
    shown: Mapping[str, str]
    config: Callable[..., dict[str, Any]]
    primary: str
    judged: str | None = None
    judge_decides: bool = False
    classes: bool = False

    def primary_of(self, measured: Iterable[Iterable[str]]) -> str:
        """The score that decides, given which scores each stage has.

        The judge's where it decides and has graded any stage: what it could not grade is then missing.
        """
        if self.judge_decides and self.judged and any(self.judged in names for names in measured):
            return self.judged
        return self.primary


TOOL_CALLING = KindMeasure(
    kind=Kind.TOOL_CALLING.value,
    task=specs.TASK,
    metric=specs.METRIC,
    shown=specs.SHOWN_SCORE_NAMES,
    config=specs.tool_calling_config,
    primary=specs.PRIMARY_SCORE,
    judged=CORRECTNESS,
)
CLASSIFICATION = KindMeasure(
    kind=Kind.CLASSIFICATION.value,
    task="classification",
    metric="label",
    shown={"string-check": "accuracy"},
    config=specs.classification_config,
    primary="accuracy",
    classes=True,
)
CHAT = KindMeasure(
    kind=Kind.CHAT.value,
    task="chat",
    metric="overlap",
    shown={"rouge_L_score": "rouge_l", "rouge_1_score": "rouge_1"},
    config=specs.chat_config,
    primary="rouge_l",
    judged=SIMILARITY,
    judge_decides=True,
)

RETRIEVAL_MEASURE = KindMeasure(
    kind=RETRIEVAL,
    task=specs.RETRIEVAL_TASK,
    metric="retriever",
    shown=specs.RETRIEVAL_SCORE_NAMES,
    config=specs.retrieval_config,
    primary="ndcg_at_10",
)

MEASURES: Mapping[str, KindMeasure] = {
    one.kind: one for one in (TOOL_CALLING, CLASSIFICATION, CHAT, RETRIEVAL_MEASURE)
}


def measure_of(dataset: Mapping[str, Any] | None) -> KindMeasure:
    """The measure of a run, by the kind that its dataset document names; tool calling where it names none.

    Raises DecisionError for a kind that nothing is measured of.
    """
    kind = str((dataset or {}).get("kind") or Kind.TOOL_CALLING.value)
    try:
        return MEASURES[kind]
    except KeyError:
        raise DecisionError(
            f"dataset.kind is {kind!r}: it can be evaluated for {', '.join(sorted(MEASURES))} only"
        ) from None


def primary_score(scores: Mapping[str, float]) -> float | None:
    """Of one stage's means, the one that decides; None where there is none of them."""
    if SIMILARITY in scores:
        return scores[SIMILARITY]
    return next((scores[one.primary] for one in MEASURES.values() if one.primary in scores), None)


def _grade_of(value: float) -> float:
    """A judge's mean (0..1) on the scale that it was given (1..10)."""
    return round(LOWEST_GRADE + value * (HIGHEST_GRADE - LOWEST_GRADE), 6)


def grade_shown(score: str, value: float) -> str | None:
    """Similarity on the judge's own scale, as `8.4 of 10`; None for another score."""
    return f"{_grade_of(value):.1f} of {HIGHEST_GRADE}" if score == SIMILARITY else None

"""What a judge's grades make: a score of a stage, where enough items have one, and a record that is kept."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from include.flywheel.evaluation.judging import prompt
from include.flywheel.evaluation.judging.asking import Grades
from include.flywheel.evaluation.measures import HIGHEST_GRADE, LOWEST_GRADE
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.words import percent

MIN_JUDGED_SHARE = 0.95
"""Of the items that were answered; with fewer grades what is missing could decide."""


class Judgement(BaseModel):
    """The grades of one stage, as they are kept: lists side by side, so that nothing is asked twice.

    `asked[i]` stands for what the judge was asked of `item_ids[i]`; `grades[i]` is its answer, 1 to 10.
    """

    model_config = ConfigDict(extra="forbid")

    score: str
    model: str
    prompt_version: str
    prompt_digest: str
    item_ids: list[str] = Field(default_factory=list)
    asked: list[str] = Field(default_factory=list)
    grades: list[int] = Field(default_factory=list)
    unjudged: dict[str, int] = Field(default_factory=dict)
    """Items without a grade, by reason."""
    requests: int = 0
    retries: int = 0
    error: str | None = None
    """Why the stage has no score of the judge."""

    def known(self, asked: Iterable[prompt.Answers], model: str) -> dict[str, int]:
        """The grades of those that this judge was asked in just these words before."""
        if (self.model, self.prompt_digest) != (model, prompt.digest()):
            return {}
        kept = {
            (item_id, key): grade
            for item_id, key, grade in zip(self.item_ids, self.asked, self.grades, strict=True)
        }
        keys = ((one.item_id, key_of(self.score, one)) for one in asked)
        return {item_id: kept[item_id, key] for item_id, key in keys if (item_id, key) in kept}


def key_of(score: str, answers: prompt.Answers) -> str:
    """16 hexadecimal characters that stand for what is asked about an item."""
    text = "\0".join((score, answers.reference, answers.candidate))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def judgement_of(
    score: str, model: str, asked: Sequence[prompt.Answers], known: Mapping[str, int], found: Grades
) -> Judgement:
    """The record of a stage: what was known before, and what was found now."""
    grades = dict(known) | found.grades
    judged = [one for one in sorted(asked, key=lambda one: one.item_id) if one.item_id in grades]
    return Judgement(
        score=score,
        model=model,
        prompt_version=prompt.VERSION,
        prompt_digest=prompt.digest(),
        item_ids=[one.item_id for one in judged],
        asked=[key_of(score, one) for one in judged],
        grades=[grades[one.item_id] for one in judged],
        unjudged=found.reasons(),
        requests=found.requests,
        retries=found.retries,
        error=_why_no_score(len(judged), len(asked), found),
    )


def with_grades(scores: StageScores, judgement: Judgement) -> StageScores:
    """The scores with the judge's among them, 0 to 1; as they were where the judgement says why not.

    An item that got no answer scores 0; one that was answered and not judged is left out.
    """
    if judgement.error is not None:
        return scores
    grades = dict(zip(judgement.item_ids, judgement.grades, strict=True))
    errors = set(scores.error_item_ids)
    values = [_value(grades[one]) if one in grades and one not in errors else 0.0 for one in scores.item_ids]
    without = [one for one in scores.item_ids if one not in grades and one not in errors]
    unscored = scores.unscored | ({judgement.score: without} if without else {})
    written = scores.model_dump() | {
        "scores": scores.scores | {judgement.score: values},
        "unscored": unscored,
    }
    return StageScores.model_validate(written)


def counts_of(judgements: Iterable[Judgement]) -> dict[str, int]:
    """What the judge did in a run: `judged`, `unjudged`, `requests`, `retries`, and `unjudged` by reason."""
    counts: Counter[str] = Counter(judged=0, unjudged=0, requests=0, retries=0)
    for one in judgements:
        counts.update({f"unjudged_{reason}": number for reason, number in one.unjudged.items()})
        counts["judged"] += len(one.grades)
        counts["unjudged"] += sum(one.unjudged.values())
        counts["requests"] += one.requests
        counts["retries"] += one.retries
    return dict(sorted(counts.items()))


def _value(grade: int) -> float:
    return round((grade - LOWEST_GRADE) / (HIGHEST_GRADE - LOWEST_GRADE), 6)


def _why_no_score(judged: int, answered: int, found: Grades) -> str | None:
    if judged and judged >= MIN_JUDGED_SHARE * answered:
        return None
    if found.error is not None:
        return f"{found.error} ({judged} of {answered} items were judged)"
    if not answered:
        return "there is no answer to judge"
    reasons = ", ".join(f"{number} {reason.replace('_', ' ')}" for reason, number in found.reasons().items())
    return (
        f"only {judged} of {answered} answers were judged, {percent(MIN_JUDGED_SHARE)} are needed ({reasons})"
    )

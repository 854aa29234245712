"""Further scores in which a candidate may not be worse than the production model, each with its own margin.

A guardrail can only hold a promotion back: all of them must pass beside the primary test, so the chance of a
false promotion does not grow (an intersection-union test, Berger, Technometrics 24 (1982) 295).
"""

from __future__ import annotations

from dataclasses import replace

from include.flywheel.evaluation.bar import Measure, compare
from include.flywheel.evaluation.decision import Bar, BarKind, Guardrail, Verdict
from include.flywheel.evaluation.gate import Gate
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.words import number, points

_NEEDS_REFERENCE = (
    "guardrails compare with the production model, which did not answer: serve it and name it in the "
    "workload's `bar.production_model`, or take `guardrails` out of the profile's gate"
)


def check_guardrails(
    candidate: StageScores, bar: Bar, reference: StageScores | None, gate: Gate, measure: Measure
) -> list[Guardrail]:
    """Each guardrail of the gate for one candidate, in the order of their names.

    One that cannot be checked does not hold: its reason says why.
    """
    return [_check(one, candidate, bar, reference, measure) for one in sorted(gate.guardrails.items())]


def held_back(verdict: Verdict, reason: str, guardrails: list[Guardrail]) -> tuple[Verdict, str]:
    """The verdict with its guardrails: PROMOTABLE only where all of them hold."""
    broken = [one for one in guardrails if not one.holds]
    if verdict is not Verdict.PROMOTABLE or not broken:
        return verdict, reason
    surely = any(one.difference is not None and one.difference.high < -one.margin for one in broken)
    words = "; ".join(f"guardrail {one.score}: {one.reason}" for one in broken)
    return (Verdict.REJECTED if surely else Verdict.INCONCLUSIVE), f"{reason}, but {words}"


def _check(
    guardrail: tuple[str, float],
    candidate: StageScores,
    bar: Bar,
    reference: StageScores | None,
    measure: Measure,
) -> Guardrail:
    name, margin = guardrail
    if bar.kind is not BarKind.REFERENCE or reference is None:
        return Guardrail(score=name, margin=margin, holds=False, reason=_NEEDS_REFERENCE)
    for stage in (candidate, reference):
        if name not in stage.scores:
            measured = ", ".join(sorted(stage.scores))
            reason = f"{stage.model} was not measured in it, only in {measured}; name one of these"
            return Guardrail(score=name, margin=margin, holds=False, reason=reason)
    errors = set(reference.error_item_ids)
    answered = [index for index in reference.scored(name) if reference.item_ids[index] not in errors]
    if not set(answered) & set(candidate.scored(name)):
        return Guardrail(score=name, margin=margin, holds=False, reason="no item has it of both models")
    difference = compare(candidate, bar, reference, replace(measure, score=name)).difference
    assert difference is not None  # noqa: S101 - there is a reference
    holds = difference.low > -margin
    worst = f"at worst {points(difference.low)} points against {bar.model}"
    allowed = f"the {number(margin)} points that are allowed"
    return Guardrail(
        score=name,
        margin=margin,
        holds=holds,
        difference=difference,
        reason=f"{worst}, {'within' if holds else 'beyond'} {allowed}",
    )

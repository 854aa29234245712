"""Guardrails: further scores that can hold a promotion back, and never bring one about."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from include.flywheel.evaluation.decision import Decision, DecisionInputs, Verdict
from include.flywheel.evaluation.gate import Gate
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import PRIMARY_SCORE, Stage
from include.flywheel.evaluation.verdict import decide

NAME = "function_name_accuracy"
SAME = [1.0, 0.0] * 100


def _scores(primary: list[float], name: list[float]) -> dict[str, Any]:
    return {"scores": {PRIMARY_SCORE: primary, NAME: name}}


def _decided(scored: Any, name: list[float], guardrails: dict[str, float], **more: Any) -> Decision:
    reference: StageScores = scored(SAME, stage=Stage.REFERENCE, **_scores(SAME, [1.0] * 200))
    given_: dict[str, Any] = {"reference": reference} | more
    candidate = scored(SAME, **_scores(SAME, name))
    return decide(DecisionInputs(candidates=[candidate], gate=Gate(guardrails=guardrails), **given_))


@pytest.mark.parametrize(
    ("wrong_names", "margin", "verdict", "holds"),
    [
        (0, 0.02, Verdict.PROMOTABLE, True),
        (2, 0.05, Verdict.PROMOTABLE, True),
        (8, 0.05, Verdict.INCONCLUSIVE, False),
        (60, 0.05, Verdict.REJECTED, False),
    ],
)
def test_a_candidate_that_is_worse_in_a_guardrail_is_held_back(
    scored: Any, wrong_names: int, margin: float, verdict: Verdict, holds: bool
) -> None:
    decision = _decided(scored, [0.0] * wrong_names + [1.0] * (200 - wrong_names), {NAME: margin})
    [candidate] = decision.candidates
    [guardrail] = candidate.guardrails
    assert (candidate.verdict, decision.verdict) == (verdict, verdict)
    assert (guardrail.score, guardrail.holds) == (NAME, holds)
    assert guardrail.difference is not None
    assert guardrail.difference.value == pytest.approx(-wrong_names / 200)
    assert (f"guardrail {NAME}" in candidate.reason) == (not holds)


def test_what_cannot_be_checked_does_not_hold(scored: Any) -> None:
    unknown = _decided(scored, [1.0] * 200, {"politeness": 0.1})
    assert unknown.verdict is Verdict.INCONCLUSIVE
    assert f"only in {NAME}, {PRIMARY_SCORE}" in unknown.candidates[0].reason
    alone = _decided(scored, [1.0] * 200, {NAME: 0.1}, reference=None, min_quality=0.3)
    assert alone.verdict is Verdict.INCONCLUSIVE
    assert "bar.production_model" in alone.candidates[0].reason


def test_where_no_item_was_graded_for_both_it_does_not_hold(scored: Any) -> None:
    reference = scored(SAME, stage=Stage.REFERENCE, **_scores(SAME, SAME))
    ids = reference.item_ids
    reference = reference.model_copy(update={"unscored": {NAME: ids[:100]}})
    candidate = scored(SAME, **_scores(SAME, SAME), unscored={NAME: ids[100:]})
    inputs = DecisionInputs(candidates=[candidate], reference=reference, gate=Gate(guardrails={NAME: 0.1}))
    assert "no item has it of both" in decide(inputs).candidates[0].reason


def test_without_guardrails_documents_are_as_they_were(scored: Any) -> None:
    written = _decided(scored, SAME, {}).model_dump_json()
    assert "guardrail" not in written


def test_a_margin_is_a_share() -> None:
    for wrong in (-0.1, 1.0, "much"):
        with pytest.raises(ValidationError, match="guardrails"):
            Gate.model_validate({"guardrails": {NAME: wrong}})


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    primary=st.lists(st.sampled_from([0.0, 1.0]), min_size=30, max_size=30),
    name=st.lists(st.sampled_from([0.0, 1.0]), min_size=30, max_size=30),
    margin=st.floats(0, 0.99),
)
def test_for_all_scores_a_guardrail_never_promotes(
    scored: Any, primary: list[float], name: list[float], margin: float
) -> None:
    reference = scored([1.0] * 30, stage=Stage.REFERENCE, **_scores([1.0] * 30, [1.0] * 30))
    candidate = scored(primary, **_scores(primary, name))

    def verdict(**gate: Any) -> Verdict:
        made = Gate(margin=0.3, resamples=1_000, **gate)
        return decide(DecisionInputs(candidates=[candidate], reference=reference, gate=made)).verdict

    without, guarded = verdict(), verdict(guardrails={NAME: margin})
    assert guarded is without or without is Verdict.PROMOTABLE

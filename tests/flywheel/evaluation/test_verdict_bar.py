"""What the candidates are measured against, and what is left out of that."""

from __future__ import annotations

from include.flywheel.evaluation.decision import BarKind, DecisionInputs, Verdict
from include.flywheel.evaluation.specs import Stage
from include.flywheel.evaluation.verdict import decide

PERFECT = [1.0] * 100
HALF = [1.0, 0.0] * 50


def test_the_production_model_asked_again_comes_before_the_threshold(scored):
    reference = scored(HALF, nim="acme/agent", stage=Stage.REFERENCE)
    decision = decide(DecisionInputs(candidates=[scored(PERFECT)], reference=reference, min_quality=0.9))

    assert (decision.bar.kind, decision.bar.model) == (BarKind.REFERENCE, "acme/agent")
    assert decision.bar.score is not None
    assert decision.bar.score.value == 0.5
    assert decision.candidates[0].difference is not None
    assert decision.candidates[0].difference.value == 0.5


def test_the_threshold_is_the_bar_where_the_production_model_could_not_be_asked(scored):
    decision = decide(
        DecisionInputs(
            candidates=[scored(HALF)], reference_missing_reason="it is not served", min_quality=0.75
        )
    )

    assert (decision.bar.kind, decision.bar.threshold) == (BarKind.MIN_QUALITY, 0.75)
    assert decision.bar.note == "it is not served"
    assert decision.candidates[0].difference is not None
    assert decision.candidates[0].difference.value == -0.25


def test_without_a_bar_candidates_are_ranked_and_the_remedy_is_said(scored):
    quarter = [1.0, 0.0, 0.0, 0.0] * 25
    decision = decide(
        DecisionInputs(
            candidates=[
                scored(quarter, nim="a"),
                scored(PERFECT, nim="b"),
                scored(quarter, nim="c"),
                scored(HALF, nim="d"),
            ]
        )
    )

    assert decision.verdict is Verdict.INCONCLUSIVE
    assert decision.winner is None
    assert [(c.nim, c.rank) for c in decision.candidates] == [("a", 3), ("b", 1), ("c", 3), ("d", 2)]
    assert "bar.production_model" in decision.reason
    assert "non_negotiable.min_quality" in decision.reason


def test_items_that_the_reference_did_not_answer_are_left_out_for_all(scored):
    reference = scored([0.0] * 5 + [1.0] * 95, stage=Stage.REFERENCE, errors=range(5))
    decision = decide(DecisionInputs(candidates=[scored([1.0] * 100)], reference=reference))

    assert (decision.bar.items, decision.bar.items_left_out) == (95, 5)
    assert decision.bar.score is not None
    assert decision.bar.score.value == 1.0
    assert (decision.candidates[0].items, decision.candidates[0].conversations) == (95, 95)
    assert decision.candidates[0].difference is not None
    assert decision.candidates[0].difference.value == 0.0


def test_a_reference_that_answered_too_little_is_no_bar(scored):
    reference = scored([0.0] * 11 + [1.0] * 89, stage=Stage.REFERENCE, errors=range(11))
    decision = decide(DecisionInputs(candidates=[scored(PERFECT)], reference=reference))

    assert decision.bar.kind is BarKind.NONE
    assert decision.bar.note is not None
    assert "no answer to 11 of 100 items" in decision.bar.note
    assert decision.verdict is Verdict.INCONCLUSIVE

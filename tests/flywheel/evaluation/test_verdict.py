from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from include.flywheel.errors import DecisionError
from include.flywheel.evaluation.decision import (
    BarKind,
    Decision,
    DecisionInputs,
    MissingStage,
    Verdict,
)
from include.flywheel.evaluation.gate import Gate
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import PRIMARY_SCORE, Stage
from include.flywheel.evaluation.verdict import decide

CASES = json.loads((Path(__file__).parent / "verdict_cases.json").read_text(encoding="utf-8"))
PERFECT = [1.0] * 100
HALF = [1.0, 0.0] * 50


def pairs(both: int, won: int, lost: int, neither: int) -> tuple[list[float], list[float]]:
    """Scores of candidate and reference from the counts of their four-fold table."""
    candidate = [1.0] * both + [1.0] * won + [0.0] * lost + [0.0] * neither
    reference = [1.0] * both + [0.0] * won + [1.0] * lost + [0.0] * neither
    return candidate, reference


def stages(decision: Decision) -> dict[tuple[str, Stage], Verdict]:
    return {(c.nim, c.stage): c.verdict for c in decision.candidates}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_cases(scored, case: dict[str, Any]):
    candidate, reference = pairs(**case["pairs"])
    threshold = case.get("min_quality")
    decision = decide(
        DecisionInputs(
            candidates=[scored(candidate)],
            reference=None if threshold is not None else scored(reference, stage=Stage.REFERENCE),
            min_quality=threshold,
            gate=Gate(**case.get("gate", {})),
            seed=1,
        )
    )

    assert decision.candidates[0].verdict.value == case["verdict"], decision.candidates[0].reason
    assert decision.verdict.value == case["verdict"]
    assert (decision.winner is not None) == (case["verdict"] == "PROMOTABLE")


def test_unanswered_items_count_against_a_candidate(scored):
    candidate = scored([0.0] * 10 + [1.0] * 90, errors=range(10))
    decision = decide(DecisionInputs(candidates=[candidate], min_quality=0.5))

    assert (decision.candidates[0].errors, decision.candidates[0].score.value) == (10, 0.9)
    assert decision.verdict is Verdict.PROMOTABLE


def test_a_candidate_that_hardly_answered_is_not_judged(scored):
    candidate = scored([0.0] * 100, errors=range(100))
    decision = decide(DecisionInputs(candidates=[candidate], min_quality=0.5))

    assert decision.candidates[0].verdict is Verdict.INCONCLUSIVE
    assert "no answer to 100 of 100 items" in decision.candidates[0].reason


def test_items_of_one_conversation_count_as_one_piece_of_evidence(scored):
    candidate, reference = pairs(both=900, won=20, lost=30, neither=50)

    def verdict(per_conversation: int) -> Verdict:
        return decide(
            DecisionInputs(
                candidates=[scored(candidate, per_conversation=per_conversation)],
                reference=scored(reference, stage=Stage.REFERENCE, per_conversation=per_conversation),
            )
        ).verdict

    assert verdict(per_conversation=1) is Verdict.PROMOTABLE
    assert verdict(per_conversation=50) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"item_ids": [f"x{index:03d}" for index in range(100)]}, "not scored on the same items"),
        ({"conversation_ids": ["one"] * 100}, "different conversations"),
    ],
)
def test_scores_of_other_items_are_not_compared(scored, other, said):
    odd = scored(PERFECT, nim="meta/odd", **other)
    with pytest.raises(DecisionError, match=said):
        decide(DecisionInputs(candidates=[scored(PERFECT)], reference=odd))
    with pytest.raises(DecisionError, match=said):
        decide(DecisionInputs(candidates=[scored(PERFECT), odd], min_quality=0.5))


def test_a_primary_score_that_was_not_measured_is_refused(scored):
    with pytest.raises(DecisionError, match="no score 'similarity'"):
        decide(DecisionInputs(candidates=[scored(PERFECT)], min_quality=0.5, primary_score="similarity"))


def test_the_same_stage_twice_and_a_reference_among_candidates_are_refused(scored):
    missing = MissingStage(nim="meta/small", stage=Stage.BASE, reason="no GPU")
    with pytest.raises(ValidationError, match="meta/small at base is given twice"):
        DecisionInputs(candidates=[scored(PERFECT)], missing=[missing])
    with pytest.raises(ValidationError, match="give it as `reference`"):
        DecisionInputs(candidates=[scored(PERFECT, stage=Stage.REFERENCE)])


def test_what_was_not_scored_is_listed_with_its_reason(scored):
    missing = [
        MissingStage(nim="b", stage=Stage.ICL, reason="the deployment failed"),
        MissingStage(nim="a", stage=Stage.BASE, reason="no GPU"),
    ]
    decision = decide(DecisionInputs(candidates=[], missing=missing, min_quality=0.5))

    assert decision.missing == missing[::-1]
    assert decision.verdict is Verdict.INCONCLUSIVE
    assert decision.reason == "no candidate has scores: a at base: no GPU; b at icl: the deployment failed"


def test_every_nim_takes_its_share_of_alpha(scored):
    candidate, reference = pairs(both=70, won=0, lost=0, neither=0)
    production = scored(reference, stage=Stage.REFERENCE)

    def decided(nims: int) -> Decision:
        return decide(
            DecisionInputs(
                candidates=[scored(candidate, nim=f"n{n}") for n in range(nims)], reference=production
            )
        )

    assert decided(1).verdict is Verdict.PROMOTABLE
    assert decided(4).verdict is Verdict.INCONCLUSIVE
    assert (decided(4).level, decided(4).interval_confidence) == (0.0125, 0.975)
    assert "shared by 4 NIMs" in decided(4).correction


def test_a_small_share_of_alpha_gets_more_resamples(scored):
    inputs = DecisionInputs(candidates=[scored(PERFECT)], min_quality=0.5, gate=Gate(alpha=0.001))

    assert decide(inputs).resamples == 20_000


def test_a_stage_is_promoted_only_after_the_one_before_it(scored):
    decision = decide(
        DecisionInputs(
            candidates=[
                scored(PERFECT, nim="a", stage=Stage.BASE),
                scored(HALF, nim="a", stage=Stage.CUSTOMIZED),
                scored(PERFECT, nim="b", stage=Stage.BASE),
                scored(PERFECT, nim="b", stage=Stage.ICL),
                scored(PERFECT, nim="b", stage=Stage.CUSTOMIZED),
            ],
            min_quality=0.8,
        )
    )

    assert stages(decision) == {
        ("a", Stage.BASE): Verdict.INCONCLUSIVE,
        ("a", Stage.CUSTOMIZED): Verdict.REJECTED,
        ("b", Stage.BASE): Verdict.PROMOTABLE,
        ("b", Stage.ICL): Verdict.PROMOTABLE,
        ("b", Stage.CUSTOMIZED): Verdict.PROMOTABLE,
    }
    assert "customized did not pass" in decision.candidates[0].reason


def test_a_stage_that_could_not_be_judged_stops_no_other(scored):
    decision = decide(
        DecisionInputs(
            candidates=[
                scored(PERFECT, stage=Stage.BASE),
                scored([0.0] * 100, stage=Stage.CUSTOMIZED, errors=range(100)),
            ],
            missing=[MissingStage(nim="meta/small", stage=Stage.ICL, reason="no examples")],
            min_quality=0.8,
        )
    )

    assert stages(decision)["meta/small", Stage.BASE] is Verdict.PROMOTABLE


@pytest.mark.parametrize(
    ("known", "winner", "rule"),
    [
        ({"price_per_million_tokens_usd": {"large": 0.1, "small": 0.2}}, "large", "lowest price"),
        (
            {"price_per_million_tokens_usd": {"large": 0.1}, "parameters_billions": {"large": 8, "small": 1}},
            "small",
            "fewest parameters",
        ),
        ({"parameters_billions": {"large": 8}}, "large", "best score"),
        ({}, "large", "best score"),
    ],
)
def test_the_cheapest_that_passed_wins_as_far_as_costs_are_known(scored, known, winner, rule):
    almost = [0.0] + [1.0] * 99
    decision = decide(
        DecisionInputs(
            candidates=[scored(almost, nim="small"), scored(PERFECT, nim="large"), scored(HALF, nim="free")],
            min_quality=0.8,
            **known,
        )
    )

    assert decision.winner is not None
    assert decision.winner.nim == winner
    assert rule in decision.winner.rule


def test_equally_good_stages_of_a_nim_go_to_the_one_that_needs_least(scored):
    candidates = [scored(PERFECT, stage=stage) for stage in (Stage.CUSTOMIZED, Stage.ICL, Stage.BASE)]

    winner = decide(DecisionInputs(candidates=candidates, min_quality=0.8)).winner

    assert winner is not None
    assert winner.stage is Stage.BASE


def test_the_better_stage_of_a_nim_wins_before_the_one_that_needs_least(scored):
    almost = [0.0] + [1.0] * 99
    candidates = [scored(almost, stage=Stage.BASE), scored(PERFECT, stage=Stage.CUSTOMIZED)]

    winner = decide(DecisionInputs(candidates=candidates, min_quality=0.8)).winner

    assert winner is not None
    assert winner.stage is Stage.CUSTOMIZED


def test_a_run_is_rejected_only_when_every_candidate_is(scored):
    rejected = scored([0.0] * 100, nim="a")
    open_ = scored([1.0] * 80 + [0.0] * 20, nim="b")

    assert decide(DecisionInputs(candidates=[rejected], min_quality=0.8)).verdict is Verdict.REJECTED
    both = decide(DecisionInputs(candidates=[rejected, open_], min_quality=0.8))
    assert both.verdict is Verdict.INCONCLUSIVE
    assert both.reason == "no candidate passed: 1 rejected, 1 inconclusive"


def random_inputs(rng: random.Random) -> DecisionInputs:
    items = rng.randint(1, 40)
    ids = [f"{index:04d}" for index in range(items)]
    conversations = [f"c{rng.randint(0, 15)}" for _ in ids]

    def made(nim: str, stage: Stage) -> StageScores:
        quality = rng.random()
        values = [float(rng.random() < quality) for _ in ids]
        return StageScores(
            nim=nim,
            model=nim,
            stage=stage,
            scores={PRIMARY_SCORE: values},
            item_ids=ids,
            conversation_ids=conversations,
        )

    every = [(nim, stage) for nim in "abc" for stage in (Stage.BASE, Stage.ICL, Stage.CUSTOMIZED)]
    chosen = rng.sample(every, rng.randint(0, 6))
    return DecisionInputs(
        candidates=[made(nim, stage) for nim, stage in chosen],
        reference=made("production", Stage.REFERENCE) if rng.random() < 0.6 else None,
        min_quality=rng.choice([None, 0.3, 0.9]),
        gate=Gate(resamples=1000, margin=rng.choice([0.0, 0.05, 0.5])),
        seed=rng.randint(0, 1000),
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_for_all_inputs_the_document_is_the_same_byte_for_byte_in_any_order(number):
    rng = random.Random(number)
    inputs = random_inputs(rng)
    again = DecisionInputs.model_validate_json(inputs.model_dump_json())
    rng.shuffle(again.candidates)

    decision = decide(inputs)

    assert decide(again).model_dump_json() == decision.model_dump_json()
    assert Decision.model_validate_json(decision.model_dump_json()) == decision


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_for_all_inputs_verdicts_follow_from_the_printed_numbers(number):
    decision = decide(random_inputs(random.Random(number)))
    strict = decision.bar.kind is BarKind.REFERENCE
    margin = decision.gate.margin if strict else 0.0

    for candidate in decision.candidates:
        assert candidate.score.low <= candidate.score.value <= candidate.score.high
        gap = candidate.difference
        if candidate.verdict is Verdict.PROMOTABLE:
            assert gap is not None
            assert gap.low > -margin or (gap.low == 0 and not strict)
        if candidate.verdict is Verdict.REJECTED:
            assert gap is not None
            assert gap.high < -margin
        if candidate.conversations < 10 or decision.bar.kind is BarKind.NONE:
            assert candidate.verdict is Verdict.INCONCLUSIVE
    promotable = any(c.verdict is Verdict.PROMOTABLE for c in decision.candidates)
    assert (decision.winner is not None) == promotable


@pytest.mark.parametrize(
    "settings_",
    [
        {"margin": 1.0},
        {"margin": -0.1},
        {"alpha": 0.5},
        {"resamples": 10},
        {"min_conversations": 3},
        {"marign": 0.1},
    ],
)
def test_a_gate_that_means_nothing_is_refused(settings_):
    with pytest.raises(ValidationError, match=next(iter(settings_))):
        Gate(**settings_)

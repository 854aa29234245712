"""Equal digests for equal results, whichever run they are of; other digests for others."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import Stage
from include.flywheel.runs.digests import decision_digest, digest_of, scores_digest


def scores(
    model: str = "m", stage: Stage = Stage.BASE, values: tuple[float, ...] = (1.0, 0.5)
) -> StageScores:
    ids = [str(n) for n in range(len(values))]
    return StageScores(
        nim="n", model=model, stage=stage, scores={"s": list(values)}, item_ids=ids, conversation_ids=ids
    )


def test_the_order_of_keys_does_not_count_and_that_of_lists_does() -> None:
    assert digest_of({"a": 1, "b": [1, 2]}) == digest_of({"b": [1, 2], "a": 1})
    assert digest_of({"b": [1, 2]}) != digest_of({"b": [2, 1]})
    # printf %s '{"a":"ü"}' | sha256sum
    assert digest_of({"a": "ü"}) == "fd621823002706e24604cb868a9f4f8850d6f01fb5040d49ba050482e1472437"


@given(
    st.permutations([("a", Stage.BASE), ("a", Stage.ICL), ("b", Stage.BASE), ("reference", Stage.REFERENCE)])
)
def test_the_order_of_stages_does_not_count(order: list[tuple[str, Stage]]) -> None:
    given_order = scores_digest((slug, scores(stage=stage)) for slug, stage in order)
    assert given_order == scores_digest((slug, scores(stage=stage)) for slug, stage in sorted(order))


def test_the_adapter_that_holds_the_runs_name_does_not_count() -> None:
    first, second = ([("a", scores(f"fw-{job}-a-1", Stage.CUSTOMIZED))] for job in ("0" * 24, "1" * 24))
    assert scores_digest(first) == scores_digest(second)
    decisions = ({"candidates": [{"nim": "n", "model": name, "score": 1}]} for name in ("x", "y"))
    assert len({decision_digest(decision) for decision in decisions}) == 1


def test_every_score_slug_and_stage_counts() -> None:
    digests = {
        scores_digest([("a", scores())]),
        scores_digest([("b", scores())]),
        scores_digest([("a", scores(stage=Stage.ICL))]),
        scores_digest([("a", scores(values=(1.0, 0.25)))]),
        scores_digest([]),
    }
    assert len(digests) == 5
    assert decision_digest({"verdict": "REJECTED"}) != decision_digest({"verdict": "PROMOTABLE"})

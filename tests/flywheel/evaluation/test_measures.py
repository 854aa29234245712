"""What is measured for each kind of workload, asked of the real evaluator's configuration and read back."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest

from include.flywheel.errors import DecisionError
from include.flywheel.evaluation.bar import BarKind
from include.flywheel.evaluation.decision import DecisionInputs
from include.flywheel.evaluation.items import read_results
from include.flywheel.evaluation.measures import (
    CHAT,
    CLASSIFICATION,
    MEASURES,
    TOOL_CALLING,
    grade_shown,
    measure_of,
    primary_score,
)
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import Stage
from include.flywheel.evaluation.verdict import decide

FILES_URL = "hf://datasets/flywheel/fw-1/testing/eval.jsonl"


def archive(rows: list[dict[str, Any]]) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr("results.json", json.dumps(rows))
    return file


def routed(index: int, label: str, answer: str, *, error: str | None = None) -> dict[str, Any]:
    row = {
        "id": index,
        "item": {"item_id": f"{index:04}", "conversation_id": f"c{index}", "label": label},
        "output_text": answer,
        "label": {"string-check": float(answer.strip() == label)},
    }
    return row | ({"error": error} if error else {})


def test_a_run_of_before_kinds_is_tool_calling() -> None:
    assert measure_of(None) is TOOL_CALLING
    assert measure_of({"kind": "chat"}) is CHAT
    with pytest.raises(DecisionError, match="'poetry'"):
        measure_of({"kind": "poetry"})


@pytest.mark.parametrize("measure", [TOOL_CALLING, CLASSIFICATION, CHAT], ids=lambda one: one.kind)
def test_the_config_holds_what_is_read_from_the_results(measure: Any) -> None:
    config = measure.config(namespace="flywheel", files_url=FILES_URL)
    assert list(config["tasks"]) == [measure.task]
    assert list(config["tasks"][measure.task]["metrics"]) == [measure.metric]
    assert measure.primary in measure.shown.values()
    with pytest.raises(ValueError, match="hf://datasets/"):
        measure.config(namespace="flywheel", files_url="/tmp/eval.jsonl")


def test_labels_are_counted_and_an_answer_that_is_none_is_wrong() -> None:
    rows = [
        routed(0, "delivery", " delivery\n"),
        routed(1, "delivery", "refund"),
        routed(2, "refund", "I would say refund"),
        routed(3, "refund", "refund", error="timed out"),
    ]
    read = read_results(archive(rows), nim="n", model="n", stage=Stage.BASE, measure=CLASSIFICATION)
    assert read.scores == {"accuracy": [1.0, 0.0, 0.0, 0.0]}
    assert read.error_item_ids == ["0003"]
    delivery, refund = read.classes
    assert (delivery.items, delivery.predicted, delivery.correct) == (2, 1, 1)
    assert (refund.items, refund.predicted, refund.correct) == (2, 1, 0)
    assert read.means() == {"accuracy": 0.25, "f1_macro": pytest.approx((2 / 3 + 0) / 2, abs=1e-6)}
    assert StageScores.model_validate(read.model_dump(mode="json")) == read


def test_a_row_without_its_label_is_refused() -> None:
    row = routed(0, "delivery", "delivery")
    del row["item"]["label"]
    with pytest.raises(DecisionError, match="label None"):
        read_results(archive([row]), nim="n", model="n", stage=Stage.BASE, measure=CLASSIFICATION)


def test_documents_of_tool_calling_stay_as_they_were() -> None:
    written = stage(Stage.BASE, {"function_name": [1.0] * 20}).model_dump(mode="json")
    assert set(written) == {
        "nim",
        "model",
        "stage",
        "scores",
        "item_ids",
        "conversation_ids",
        "error_item_ids",
        "disagreement",
    }


def test_the_judge_decides_where_it_graded_anything() -> None:
    assert CHAT.primary_of([{"rouge_l"}, {"rouge_l", "similarity"}]) == "similarity"
    assert CHAT.primary_of([{"rouge_l"}]) == "rouge_l"
    judged = [{"function_name_and_args_accuracy", "tool_calling_correctness"}]
    assert TOOL_CALLING.primary_of(judged) == "function_name_and_args_accuracy"


def test_the_score_that_people_are_shown_first() -> None:
    assert primary_score({"rouge_l": 0.2, "similarity": 0.7}) == 0.7
    assert primary_score({"rouge_l": 0.2}) == 0.2
    assert primary_score({"accuracy": 0.9, "f1_macro": 0.8}) == 0.9
    assert primary_score({}) is None
    assert len({one.primary for one in MEASURES.values()}) == len(MEASURES)


def test_similarity_is_shown_on_the_judges_scale() -> None:
    assert grade_shown("similarity", 0.0) == "1.0 of 10"
    assert grade_shown("similarity", 1.0) == "10.0 of 10"
    assert grade_shown("accuracy", 1.0) is None


def stage(which: Stage, scores: dict[str, list[float]], **more: Any) -> StageScores:
    number = len(next(iter(scores.values())))
    ids = [f"{index:04}" for index in range(number)]
    named = "reference" if which is Stage.REFERENCE else "n"
    return StageScores(
        nim=named, model=named, stage=which, scores=scores, item_ids=ids, conversation_ids=ids, **more
    )


def test_what_was_not_judged_is_compared_with_nothing() -> None:
    """Twelve items of forty count for nothing, though their values would turn the verdict."""
    good = [0.9] * 40
    candidate = stage(
        Stage.BASE,
        {"similarity": [0.0] * 6 + good[6:]},
        unscored={"similarity": [f"{i:04}" for i in range(6)]},
    )
    reference = stage(
        Stage.REFERENCE,
        {"similarity": good[:34] + [0.0] * 6},
        unscored={"similarity": [f"{i:04}" for i in range(34, 40)]},
    )
    decision = decide(DecisionInputs(candidates=[candidate], reference=reference, primary_score="similarity"))
    [decided] = decision.candidates
    assert decided.items == 28
    assert decided.difference is not None
    assert decided.difference.value == 0.0
    assert decided.score.value == pytest.approx(0.9)
    assert decision.bar.kind is BarKind.REFERENCE
    assert decision.bar.items_left_out == 6

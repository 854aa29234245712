from __future__ import annotations

import io
import json

import pytest

from include.flywheel.errors import DecisionError
from include.flywheel.evaluation.items import read_results
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import Stage

ASKED = {"nim": "meta/small", "model": "meta/small", "stage": Stage.BASE}


def test_scores_are_kept_by_item_in_the_order_of_their_ids(archive, row):
    rows = [row(2, 1.0, 1.0), row(0, 0.0, 0.0), row(1, 1.0, 0.0)]

    read = read_results(archive(rows), **ASKED)

    assert read.item_ids == [f"{number:016x}" for number in range(3)]
    assert read.conversation_ids == ["c0", "c0", "c1"]
    assert read.scores == {"function_name": [0, 1, 1], "function_name_and_args_accuracy": [0, 0, 1]}
    assert (read.errors, read.items, read.conversations, read.disagreement) == (0, 3, 2, None)
    assert read.means() == {"function_name": 2 / 3, "function_name_and_args_accuracy": 1 / 3}


def test_the_member_may_stand_in_a_folder_and_the_archive_in_a_file(archive, row, tmp_path):
    path = tmp_path / "results.zip"
    path.write_bytes(archive([row(0)], member="job-1/results.json").getvalue())

    assert read_results(path, **ASKED).items == 1


def test_scores_go_through_json_unchanged(archive, row):
    read = read_results(archive([row(0), row(1)]), **ASKED)

    assert StageScores.model_validate(json.loads(json.dumps(read.model_dump(mode="json")))) == read


def test_rows_without_scores_count_as_errors_and_score_zero(archive, row):
    failed = row(1) | {"tool-calling-accuracy": None, "error": "timeout"}
    absent = {key: value for key, value in row(2).items() if key != "tool-calling-accuracy"}
    marked = row(3, 1.0, 1.0) | {"error": "the answer was cut off"}

    read = read_results(archive([row(0, 1.0, 1.0), failed, absent, marked, row(4, None, None)]), **ASKED)

    assert read.errors == 4
    assert read.scores["function_name_and_args_accuracy"] == [1, 0, 0, 0, 0]


def test_the_evaluators_mean_may_be_over_all_items_or_over_the_answered_ones(archive, row):
    rows = [row(0, 1.0, 1.0), row(1, None, None)]

    for mean in (1.0, 0.5, 0.5004):
        read = read_results(archive(rows), **ASKED, aggregate={"function_name": mean})
        assert read.disagreement is None


def test_a_mean_that_its_items_do_not_have_is_said(archive, row):
    said = read_results(archive([row(0), row(1)]), **ASKED, aggregate={"function_name": 0.9}).disagreement

    assert said == "function_name: the evaluator says 0.9000, the mean of its 2 items is 1.0000"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"item": {"conversation_id": "c0"}}, "item_id None"),
        ({"item": {"item_id": "", "conversation_id": "c0"}}, "item_id ''"),
        ({"item": {"item_id": "a"}}, "conversation_id None"),
        ({"item": None}, "item_id None"),
        ({"tool-calling-accuracy": {"function_name_accuracy": 1.5}}, "function_name_accuracy = 1.5"),
        ({"tool-calling-accuracy": {"function_name_accuracy": "1"}}, "function_name_accuracy = '1'"),
        (
            {"tool-calling-accuracy": {"function_name_accuracy": 1.0}},
            "function_name_and_args_accuracy = None",
        ),
    ],
)
def test_a_row_that_cannot_be_used_is_named_with_its_value(archive, row, change, said):
    with pytest.raises(DecisionError) as caught:
        read_results(archive([row(0), row(7) | change]), **ASKED)
    assert said in str(caught.value)
    assert "row 7" in str(caught.value)


def test_a_score_that_is_no_number_is_refused(archive):
    text = b'[{"id":0,"item":{"item_id":"a","conversation_id":"c"},"tool-calling-accuracy":'
    text += b'{"function_name_accuracy":NaN,"function_name_and_args_accuracy":NaN}}]'

    with pytest.raises(DecisionError, match="nan; a score is a number from 0 to 1"):
        read_results(archive(text), **ASKED)


def test_repeated_items_are_named(archive, row):
    with pytest.raises(DecisionError, match=r"0{15}3 more than once"):
        read_results(archive([row(3), row(4), row(3)]), **ASKED)


def test_another_number_of_rows_than_the_file_has_is_refused(archive, row):
    with pytest.raises(DecisionError, match="holds 2 rows where the evaluation file has 3"):
        read_results(archive([row(0), row(1)]), **ASKED, expected_items=3)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[]", "has no rows"),
        (b"[[1]]", "row 0 of results.json is a list"),
        (b'{"rows": []}', "not a JSON array of rows"),
        (b'[{"id": 0', "cut off"),
    ],
)
def test_a_member_that_is_no_list_of_rows_is_said(archive, content, said):
    with pytest.raises(DecisionError) as caught:
        read_results(archive(content), **ASKED)
    assert said in str(caught.value)


def test_an_archive_without_the_member_or_with_two_says_what_it_holds(archive, row):
    with pytest.raises(DecisionError, match=r"0 files named results.json among \[logs.json\]"):
        read_results(archive([row(0)], member="logs.json"), **ASKED)
    with pytest.raises(DecisionError, match=r"2 files named results\.json"):
        read_results(archive([row(0)], copies=2), **ASKED)


def test_a_broken_archive_is_said(archive, row, tmp_path):
    whole = archive([row(number) for number in range(200)]).getvalue()
    damaged = bytearray(whole)
    damaged[200:260] = bytes(60)

    for data in (b"<html>bad gateway</html>", whole[: len(whole) // 2], bytes(damaged)):
        with pytest.raises(DecisionError, match="not a whole zip file"):
            read_results(io.BytesIO(data), **ASKED)
    with pytest.raises(DecisionError, match="cannot be read"):
        read_results(tmp_path / "absent.zip", **ASKED)

"""What users' judgements change in a data set, and what they do not."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.flywheel.datasets.card import card_lines
from include.flywheel.errors import NotEnoughRecords


def number_of(row):
    """Which record a training row is of."""
    return int(row["messages"][1]["content"].split()[1])


def numbers(rows):
    return [number_of(row) for row in rows]


def one_each(built):
    """A record number of each set."""
    held = {int(row["request"]["messages"][1]["content"].split()[1]) for row in built.rows("eval")}
    return {"train": sorted(numbers(built.rows("train"))), "val": numbers(built.rows("val")), "eval": held}


def test_without_judgements_every_file_is_the_same(build, traced, feedback) -> None:
    plain = build(traced())
    judged = build(traced(), feedback=feedback())
    assert judged.files == plain.files
    assert judged.report.feedback.read == 0
    assert judged.report.model_copy(update={"feedback": None}).model_dump() == plain.report.model_dump()
    assert "feedback" not in plain.report.model_dump()
    assert "disliked" not in plain.report.ledger.model_dump()


def test_disliked_answers_leave_training_and_nothing_else(build, traced, feedback, judge) -> None:
    plain = build(traced())
    sets = one_each(plain)
    disliked = [*sets["train"][:3], sets["val"][0], *sorted(sets["eval"])]
    built = build(traced(), feedback=feedback(*(judge(n, -1) for n in disliked)))
    assert sorted(numbers(built.rows("train"))) == sets["train"][3:]
    assert built.files["eval.jsonl"] == plain.files["eval.jsonl"]
    assert built.files["val.jsonl"] == plain.files["val.jsonl"]
    found = built.report.feedback
    assert (found.removed, found.val, found.eval, found.read) == (3, 1, 5, 9)
    assert sorted(found.holdout.values()) == [-1] * 5
    ledger = built.report.ledger
    assert (ledger.disliked, ledger.train) == (3, plain.report.ledger.train - 3)
    assert any("disliked" in line for line in card_lines(built.report))


def test_a_disliked_answer_is_no_example_either(build, traced, feedback, judge) -> None:
    plain = build(traced(12))
    train = one_each(plain)["train"]
    built = build(traced(12), feedback=feedback(*(judge(n, -1) for n in train[1:])))
    shown = [name for name in built.files if name.startswith("icl")]
    assert shown
    for name in shown:
        for row in map(json.loads, built.files[name].splitlines()):
            said = {message["content"] for message in row["request"]["messages"][1:-1]}
            assert not said & {f"question {n}" for n in train[1:]}


def test_a_correction_in_calls_takes_the_place_of_the_answer(build, traced, feedback, judge) -> None:
    at = one_each(build(traced()))["train"][0]
    expected = json.dumps({"name": "refund", "arguments": {"id": 7}})
    built = build(traced(), feedback=feedback(judge(at, -1, expected=expected)))
    [row] = [row for row in built.rows("train") if number_of(row) == at]
    [call] = row["messages"][-1]["tool_calls"]
    assert call["function"] == {"name": "refund", "arguments": {"id": 7}}
    assert row["tools"]
    assert built.report.feedback.corrected == 1
    assert built.report.ledger.disliked == 0


@pytest.mark.parametrize(
    "expected",
    ["refund it", '{"name": "unknown", "arguments": {}}', '{"name": "refund", "arguments": "no"}', "[]", "{"],
)
def test_words_are_no_tool_call(build, traced, feedback, judge, expected) -> None:
    at = one_each(build(traced()))["train"][0]
    built = build(traced(), feedback=feedback(judge(at, -1, expected=expected)))
    assert at not in numbers(built.rows("train"))
    found = built.report.feedback
    assert (found.removed, found.unusable_corrections) == (1, 1)


def test_a_correction_of_a_text_is_a_text(build, traced, feedback, judge) -> None:
    texts = {"tool": lambda n: None, "text": lambda n: f"The answer to this is number {n}. " * 5}
    at = one_each(build(traced(**texts), kind="chat"))["train"][0]
    built = build(
        traced(**texts), kind="chat", feedback=feedback(judge(at, -1, expected=" Ask for the name first. "))
    )
    [row] = [row for row in built.rows("train") if number_of(row) == at]
    assert row["messages"][-1] == {"role": "assistant", "content": "Ask for the name first."}


def test_a_correction_of_a_label_is_a_known_label(build, traced, feedback, judge) -> None:
    labels = {"tool": lambda n: None, "text": lambda n: ["yes", "no"][n % 2]}
    train = one_each(build(traced(**labels), kind="classification"))["train"]
    judged = feedback(judge(train[0], -1, expected=" no "), judge(train[1], -1, expected="perhaps"))
    built = build(traced(**labels), kind="classification", feedback=judged)
    rows = {number_of(row): row["messages"][-1]["content"] for row in built.rows("train")}
    assert rows[train[0]] == "no"
    assert train[1] not in rows


def test_liked_answers_are_written_twice_where_feedback_weighs(build, traced, feedback, judge) -> None:
    train = one_each(build(traced()))["train"]
    liked = [judge(n, 1) for n in train[:4]]
    assert build(traced(), feedback=feedback(*liked)).report.feedback.copies == 0
    built = build(traced(), feedback=feedback(*liked, use="weight"))
    written = numbers(built.rows("train"))
    assert sorted(written) == sorted([*train, *train[:4]])
    assert built.report.feedback.copies == 4
    assert built.report.file("train.jsonl").records == len(train) + 4
    assert built.report.ledger.train == len(train)


def test_the_newest_judgement_of_an_answer_holds(build, traced, feedback, judge) -> None:
    first, second = one_each(build(traced()))["train"][:2]
    judged = [judge(first, -1, at=1), judge(first, 1, at=2), judge(second, 1, at=1), judge(second, -1, at=2)]
    for order in (judged, judged[::-1]):
        built = build(traced(), feedback=feedback(*order))
        left = numbers(built.rows("train"))
        assert first in left
        assert second not in left
        assert built.report.feedback.superseded == 2


def test_rows_without_a_trace_are_found_by_their_texts(build, traced, feedback, judge) -> None:
    texts = {
        "tool": lambda n: None,
        "text": lambda n: f"Answer number {n}, in a sentence of some length. " * 2,
    }
    at = one_each(build(traced(**texts), kind="chat"))["train"][0]
    said = f"Answer number {at}, in a sentence of some length. " * 2
    judged = [
        judge(0, -1, trace="", query=f" question {at}\n", response=said.strip()),
        judge(1, -1, trace="", query="another question", response=said),
    ]
    built = build(traced(**texts), kind="chat", feedback=feedback(*judged))
    assert at not in numbers(built.rows("train"))
    assert (built.report.feedback.removed, built.report.feedback.not_found) == (1, 1)


def test_of_the_calls_of_one_trace_the_judged_answer_is_meant(build, document, raws, feedback, judge) -> None:
    lines = raws(
        document(n, session=f"s{n // 2}", trace_id=f"t{n // 2}", tool=None, text=f"This is answer {n}. " * 6)
        for n in range(60)
    )
    train = one_each(build(lines, kind="chat"))["train"]
    first = next(n for n in train if n % 2 == 0)
    named = feedback(judge(first // 2, -1, response=f"This is answer {first}. " * 6))
    left = numbers(build(lines, kind="chat", feedback=named).rows("train"))
    assert set(train) - set(left) == {first}
    unnamed = feedback(judge(first // 2, -1, response="something else"))
    left = numbers(build(lines, kind="chat", feedback=unnamed).rows("train"))
    assert set(train) - set(left) == {first + 1}


def test_a_judgement_of_an_older_duplicate_counts_where_the_answer_is_the_same(
    build, document, raws, feedback, judge
) -> None:
    documents = [document(n, session=f"s{n}", trace_id=f"t{n}") for n in range(40)]
    train = one_each(build(raws(documents)))["train"]
    same, other = train[:2]
    documents.append(document(same, session=f"s{same}", trace_id="again", at=1000))
    documents.append(document(other, session=f"s{other}", trace_id="else", at=1000, tool="track"))
    built = build(raws(documents), feedback=feedback(judge(same, -1), judge(other, -1)))
    left = numbers(built.rows("train"))
    assert same not in left
    assert other in left
    assert built.report.feedback.another_answer == 1


def test_judgements_of_records_that_cannot_be_used_are_counted(
    build, document, raws, feedback, judge
) -> None:
    documents = [document(n, session=f"s{n}", trace_id=f"t{n}") for n in range(40)]
    documents.append(document(90, session="x", trace_id="failed", error="timeout"))
    documents.append(document(91, session="y", trace_id="plain", tool=None, text="words"))
    documents[-1]["request"].pop("tools")
    lines = [*raws(documents), b'{"trace_id": "torn', b'{"trace_id": ["t1"]}\n']
    judged = [judge(0, -1, trace="failed"), judge(0, -1, trace="plain"), judge(0, -1, trace="nowhere")]
    found = build(lines, feedback=feedback(*judged)).report.feedback
    assert (found.left_out, found.not_found, found.read) == (2, 1, 3)


def test_something_must_be_left_to_train_on(build, traced, feedback, judge) -> None:
    with pytest.raises(NotEnoughRecords, match=r"feedback\.use"):
        build(traced(12), feedback=feedback(*(judge(n, -1) for n in range(12))))


_JUDGED = st.lists(
    st.tuples(
        st.integers(0, 45),
        st.sampled_from([1, -1]),
        st.sampled_from([None, "words", '{"name": "track", "arguments": {}}']),
        st.integers(0, 3),
    ),
    max_size=30,
)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(judged=_JUDGED, use=st.sampled_from(["filter", "weight"]), seed=st.integers(0, 99))
def test_for_all_judgements_the_holdout_stays_and_the_counts_add_up(
    build, traced, feedback, judge, judged, use, seed
) -> None:
    records = [
        judge(n, rating, expected=expected, at=at, id=f"f{place}")
        for place, (n, rating, expected, at) in enumerate(judged)
    ]
    lines, plain = traced(), build(traced(), icl=None)
    built = build(lines, icl=None, feedback=feedback(*records, use=use))
    built.report.feedback.check()
    built.report.ledger.check()
    for name in ("eval.jsonl", "val.jsonl"):
        assert built.files[name] == plain.files[name]
    newest = {
        one.trace_id: one for one in sorted(records, key=lambda one: (one.timestamp_ms, one.feedback_id))
    }
    for row in built.rows("train"):
        one = newest.get(f"t{number_of(row)}")
        if one is not None and one.rating < 0:
            assert row["messages"][-1]["tool_calls"][0]["function"]["name"] == "track"
    random.Random(seed).shuffle(lines)
    random.Random(seed).shuffle(records)
    again = build(lines, icl=None, feedback=feedback(*records, use=use))
    assert again.files == built.files
    assert again.report.model_dump() == built.report.model_dump()

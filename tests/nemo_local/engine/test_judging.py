"""The stand-in as a judge: by the two answers in the prompt and nothing else, on the scale that is named."""

from __future__ import annotations

from typing import Any

import pytest

from include.nemo_local.engine.judging import judged, likeness, sections


def grade(reference: str, candidate: str, form: str) -> str:
    prompt = form.format(reference=reference, candidate=candidate)
    message = judged({"messages": [{"role": "user", "content": prompt}]})
    assert message is not None
    assert "Simulated" in message["content"]
    return str(message["content"].rpartition("Rating: ")[2])


FORMS = [
    "Grade.\nReference answer: {reference}\nCandidate answer: {candidate}",
    "Grade from 1 to 10.\n\n## Reference Answer:\n{reference}\n\n## Candidate Answer:\n{candidate}\n",
    "**Candidate answer**: {candidate}\n---\n**Expected response**: {reference}\n---\nRate from 1-10.",
]


@pytest.mark.parametrize("form", FORMS)
def test_equal_answers_get_the_most_and_strange_ones_the_least(form: str) -> None:
    said = "The desk is open from 8:00 to 20:00."
    assert grade(said, said, form) == "10"
    assert grade(said, "No idea at all", form) == "1"
    assert 4 <= int(grade(said, "The desk is open on Saturday.", form)) <= 9


def test_it_keeps_to_the_scale_of_the_prompt() -> None:
    form = "Give 0 to 4 points.\nReference answer: {reference}\nCandidate answer: {candidate}"
    assert grade("from 8 to 20", "from 8 to 20", form) == "4"


def test_a_reminder_after_the_prompt_changes_nothing() -> None:
    asked: list[dict[str, Any]] = [
        {"role": "user", "content": FORMS[0].format(reference="a b", candidate="a b")}
    ]
    again = [*asked, {"role": "assistant", "content": "hm"}, {"role": "user", "content": "Rating: N only"}]
    assert judged({"messages": again}) == judged({"messages": asked})


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"messages": "odd"},
        {"messages": [{"role": "user", "content": "Where is my parcel?"}]},
        {"messages": [{"role": "user", "content": "Reference answer: x"}]},
        {"messages": [{"role": "user", "content": FORMS[0]}], "tools": [{"function": {"name": "f"}}]},
    ],
)
def test_any_other_request_is_no_judging(request_: dict[str, Any]) -> None:
    assert judged(request_) is None


def test_sections_end_at_a_line_of_marks() -> None:
    prompt = "=====\nReference answer:\none\ntwo\n=====\nCandidate answer:\nthree\n=====\nRating: N"
    assert sections(prompt) == ("one\ntwo", "three")


def test_likeness_is_between_0_and_1() -> None:
    assert likeness("", "") == 1.0
    assert likeness("", "x") == 0.0
    assert 0 < likeness("a b c", "a c d") < 1

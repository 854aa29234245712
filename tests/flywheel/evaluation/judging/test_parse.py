"""A judge's grade is read right in many phrasings, at 10 too, and never guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.flywheel.evaluation.judging.parse import grade_in

PHRASINGS = [
    "{n}",
    "{n}.",
    "Rating: {n}",
    "rating:{n}",
    "**Rating:** {n}",
    "Rating: **{n}**",
    "Rating:\n{n}",
    "Rating: {n}/10",
    "Rating (1-10): {n}",
    "{n}/10",
    "{n} / 10.",
    "I give it {n} out of 10.",
    "score = {n}",
    "Similarity score: {n}.0",
    '{{"rating": {n}}}',
    '```json\n{{"reasoning": "2 of 4 facts agree", "score": {n}}}\n```',
    "[[{n}]]",
    "On a scale of 1 to 10, I would rate this a {n}.",
    "From 1 to 10 that is a {n}",
    "The rating is {n}.",
    "Grade - {n}",
    "My final score is {n}!",
    "<think>maybe 3, rating: 2</think>Rating: {n}",
    "The reference has a rating of 9, the candidate's\nRating: {n}",
    "Final rating: \\boxed{{{n}}}",
    "I'd say {n}.",
]
WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


@given(st.sampled_from(PHRASINGS), st.integers(1, 10))
def test_every_grade_in_every_phrasing(phrasing: str, grade: int) -> None:
    assert grade_in(phrasing.format(n=grade)) == grade


@given(st.integers(1, 10), st.text(alphabet="abcdefg hij klm\n", max_size=200))
def test_whatever_is_said_before_the_asked_line(grade: int, before: str) -> None:
    assert grade_in(f"{before}\nRating: {grade}") == grade


@given(st.integers(1, 10))
def test_words(grade: int) -> None:
    assert grade_in(f"Rating: {WORDS[grade - 1]}") == grade
    assert grade_in(f"{WORDS[grade - 1]} out of ten") == grade


@given(st.one_of(st.integers(max_value=0), st.integers(min_value=11)))
def test_a_number_off_the_scale_is_no_grade(number: int) -> None:
    assert grade_in(f"Rating: {number}") is None
    assert grade_in(str(number)) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no idea",
        "Rating: N",
        "Rating: 7.5",
        "Rating: -3",
        "11/10",
        "between 3 and 8",
        "1 to 10",
        "3 or 4?",
    ],
)
def test_what_is_not_clear_is_not_guessed(text: str) -> None:
    assert grade_in(text) is None


@given(st.text(max_size=500))
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert grade_in(text) in {None, *range(1, 11)}

"""Reads the grade out of a judge's answer: a whole number from 1 to 10, or nothing."""

from __future__ import annotations

import re

from include.flywheel.evaluation.measures import HIGHEST_GRADE, LOWEST_GRADE

_WORDS = {
    word: str(number)
    for number, word in enumerate(
        ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), start=1
    )
}
_NUMBER = rf"(?<![\w.,-])(\d+(?:\.0+)?|{'|'.join(_WORDS)})(?!\w|[.,]\d)"
_THOUGHTS = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|$)", re.DOTALL | re.IGNORECASE)
# The scale itself is no grade.
_SCALE = re.compile(
    r"(?:scale\s+(?:of|from)\s+|from\s+|between\s+)?\b(?:1|one)\b\s*"
    "(?:to|through|and|-|\N{EN DASH}|\N{EM DASH})"
    r"\s*\b(?:10|ten)\b",
    re.IGNORECASE,
)
_MARKS = re.compile(r"[*_`\"'\[\](){}]")
_NAMED = re.compile(
    rf"\b(?:ratings?|scores?|grades?|similarity|correctness|rated?|give\s+(?:it|this)?)\b"
    rf"[^\d\n.,;]{{0,40}}?{_NUMBER}",
    re.IGNORECASE,
)
_OUT_OF = re.compile(rf"{_NUMBER}\s*(?:/|out\s+of)\s*(?:10|ten)(?!\w|[.,]\d)", re.IGNORECASE)
_ANY = re.compile(r"(?<![\w.,-])(\d+(?:\.0+)?)(?!\w|[.,]\d)")
_ALONE = re.compile(rf"^\W*{_NUMBER}\W*$", re.IGNORECASE)


def grade_in(text: str) -> int | None:
    """The grade that the answer ends with; None where it has none, or one outside 1 to 10.

    In this order: the last number out of ten, else the last that is called a rating (score, grade), else a
    number that is all there is. What a model thought to itself does not count.
    """
    said = _MARKS.sub(" ", _THOUGHTS.sub(" ", text))
    said = _SCALE.sub(" ", said)
    for pattern in (_OUT_OF, _NAMED):
        if found := pattern.findall(said):
            return _grade(found[-1])
    if alone := _ALONE.match(said.strip()):
        return _grade(alone[1])
    numbers = set(_ANY.findall(said))
    return _grade(numbers.pop()) if len(numbers) == 1 else None


def _grade(text: str) -> int | None:
    number = float(_WORDS.get(text.lower(), text))
    return int(number) if LOWEST_GRADE <= number <= HIGHEST_GRADE else None

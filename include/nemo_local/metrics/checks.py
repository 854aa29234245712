"""Checks: a comparison of two rendered texts or numbers that holds (1) or not (0)."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from typing import Any

from include.nemo_local.metrics.base import RowMetric, context_of
from include.nemo_local.templates import render_text

TEXT_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "equals": lambda left, right: left == right,
    "==": lambda left, right: left == right,
    "not equals": lambda left, right: left != right,
    "!=": lambda left, right: left != right,
    "<>": lambda left, right: left != right,
    "contains": lambda left, right: right in left,
    "not contains": lambda left, right: right not in left,
    "startswith": lambda left, right: left.startswith(right),
    "endswith": lambda left, right: left.endswith(right),
}
NUMBER_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "equals": operator.eq,
    "==": operator.eq,
    "not equals": operator.ne,
    "!=": operator.ne,
    "<>": operator.ne,
    "greater than or equal": operator.ge,
    "gte": operator.ge,
    ">=": operator.ge,
    "greater than": operator.gt,
    "gt": operator.gt,
    ">": operator.gt,
    "less than or equal": operator.le,
    "lte": operator.le,
    "<=": operator.le,
    "less than": operator.lt,
    "lt": operator.lt,
    "<": operator.lt,
}
DIFFERENCE = "absolute difference"
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?")


class StringCheck(RowMetric):
    """``[left, operator, right]``: 1 when the comparison of the two rendered texts holds."""

    score_names = ("string-check",)

    def __init__(self, left: str, operation: str, right: str) -> None:
        self._left, self._right = left, right
        self._holds = TEXT_OPERATORS[operation]

    def score(self, item: dict[str, Any], sample: dict[str, Any]) -> dict[str, float]:
        context = context_of(item, sample)
        left, right = render_text(self._left, context), render_text(self._right, context)
        return {"string-check": float(self._holds(left.strip(), right.strip()))}


class NumberCheck(RowMetric):
    """``[left, operator, right]`` or ``[left, "absolute difference", right, "epsilon", e]`` of two numbers.

    Each side is the last number in its rendered text; a side without one scores NaN, which the
    aggregate leaves out and counts.
    """

    score_names = ("number-check",)
    failed = math.nan

    def __init__(self, left: str, operation: str, right: str, epsilon: float | None = None) -> None:
        self._left, self._right = left, right
        self._holds = NUMBER_OPERATORS.get(operation) or (
            lambda one, other: abs(one - other) <= (epsilon or 0.0)
        )

    def score(self, item: dict[str, Any], sample: dict[str, Any]) -> dict[str, float]:
        context = context_of(item, sample)
        left, right = _number(render_text(self._left, context)), _number(render_text(self._right, context))
        if math.isnan(left) or math.isnan(right):
            return {"number-check": math.nan}
        return {"number-check": float(self._holds(left, right))}


def _number(text: str) -> float:
    found = _NUMBER.findall(text.replace(",", ""))
    return float(found[-1]) if found else math.nan

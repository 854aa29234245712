"""Metrics of an evaluation row: tool calling and string check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

import orjson

from include.nemo_local.errors import Invalid
from include.nemo_local.templates import ABSENT, RenderError, render, render_text

NAME_ACCURACY = "function_name_accuracy"
ARGS_ACCURACY = "function_name_and_args_accuracy"

_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "equals": lambda left, right: left == right,
    "==": lambda left, right: left == right,
    "not equals": lambda left, right: left != right,
    "!=": lambda left, right: left != right,
    "contains": lambda left, right: right in left,
    "not contains": lambda left, right: right not in left,
    "startswith": lambda left, right: left.startswith(right),
    "endswith": lambda left, right: left.endswith(right),
}


class Metric(Protocol):
    """Scores one row: ``item`` is the row, ``sample`` the answer to it. Raises RenderError."""

    @property
    def score_names(self) -> tuple[str, ...]: ...

    def score(self, item: dict[str, Any], sample: dict[str, Any]) -> dict[str, float]: ...


class ToolCalling:
    """Do the calls made equal the calls expected, as multisets: by name, and by name with arguments."""

    score_names = (NAME_ACCURACY, ARGS_ACCURACY)

    def __init__(self, ground_truth: Any) -> None:
        self._ground_truth = ground_truth

    def score(self, item: dict[str, Any], sample: dict[str, Any]) -> dict[str, float]:
        expected = render(self._ground_truth, {"item": item, "sample": sample})
        if expected is ABSENT or not isinstance(expected, list):
            raise RenderError(
                "tool_calls_ground_truth yields no list of calls: give [] where none is expected"
            )
        wanted, made = _signatures(expected), _signatures(sample["response"].get("tool_calls") or [])
        names = Counter(name for name, _ in wanted) == Counter(name for name, _ in made)
        return {NAME_ACCURACY: float(names), ARGS_ACCURACY: float(Counter(wanted) == Counter(made))}


class StringCheck:
    """``[left, operator, right]``: 1 when the comparison of the two rendered texts holds."""

    score_names = ("string-check",)

    def __init__(self, left: str, operator: str, right: str) -> None:
        self._left, self._right = left, right
        self._holds = _OPERATORS[operator]

    def score(self, item: dict[str, Any], sample: dict[str, Any]) -> dict[str, float]:
        context = {"item": item, "sample": sample}
        left, right = render_text(self._left, context), render_text(self._right, context)
        return {"string-check": float(self._holds(left.strip(), right.strip()))}


def build(config: dict[str, Any], *, field: str) -> Metric:
    """The metric that a configuration describes; ``field`` is its place in the body. Raises Invalid."""
    kind, params = config.get("type"), config.get("params") or {}
    if kind == "tool-calling":
        if "tool_calls_ground_truth" not in params:
            raise Invalid("a tool-calling metric needs `tool_calls_ground_truth`", field=f"{field}.params")
        return ToolCalling(params["tool_calls_ground_truth"])
    if kind == "string-check":
        check = params.get("check")
        if not (isinstance(check, list) and len(check) == 3 and all(isinstance(part, str) for part in check)):
            raise Invalid(
                "`check` must be [left, operator, right], three texts", field=f"{field}.params.check"
            )
        if check[1] not in _OPERATORS:
            raise Invalid(
                f"operator {check[1]!r} is unknown; there are {', '.join(_OPERATORS)}",
                field=f"{field}.params.check",
            )
        return StringCheck(*check)
    raise Invalid(
        f"metric type {kind!r} is not offered by this server; it has tool-calling, string-check",
        field=f"{field}.type",
    )


def _signatures(calls: list[Any]) -> list[tuple[str, bytes]]:
    signatures = []
    for call in calls:
        function = call.get("function", call) if isinstance(call, dict) else {}
        signatures.append((str(function.get("name", "")), _canonical_arguments(function.get("arguments"))))
    return signatures


def _canonical_arguments(arguments: Any) -> bytes:
    """Equal bytes for equal arguments: parsed, keys sorted, 1.0 as 1. What is no JSON stays as it is."""
    if arguments in (None, ""):
        arguments = {}
    if isinstance(arguments, str):
        try:
            arguments = orjson.loads(arguments)
        except orjson.JSONDecodeError:
            return f"not JSON: {arguments}".encode()
    canonical: bytes = orjson.dumps(_canonical(arguments), option=orjson.OPT_SORT_KEYS)
    return canonical


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _canonical(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_canonical(entry) for entry in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value

"""Tool calling: do the calls made equal the calls expected."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson

from include.nemo_local.metrics.base import RowMetric, context_of
from include.nemo_local.templates import ABSENT, RenderError, render

NAME_ACCURACY = "function_name_accuracy"
ARGS_ACCURACY = "function_name_and_args_accuracy"


class ToolCalling(RowMetric):
    """Do the calls made equal the calls expected, as multisets: by name, and by name with arguments."""

    score_names = (NAME_ACCURACY, ARGS_ACCURACY)

    def __init__(self, ground_truth: Any) -> None:
        self._ground_truth = ground_truth

    def score(self, item: dict[str, Any], sample: dict[str, Any]) -> dict[str, float]:
        expected = render(self._ground_truth, context_of(item, sample))
        if expected is ABSENT or not isinstance(expected, list):
            raise RenderError(
                "tool_calls_ground_truth yields no list of calls: give [] where none is expected"
            )
        wanted, made = _signatures(expected), _signatures(sample["response"].get("tool_calls") or [])
        names = Counter(name for name, _ in wanted) == Counter(name for name, _ in made)
        return {NAME_ACCURACY: float(names), ARGS_ACCURACY: float(Counter(wanted) == Counter(made))}


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

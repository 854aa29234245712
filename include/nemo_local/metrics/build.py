"""Metrics from their configurations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from include.nemo_local.asking import Ask, ModelRef
from include.nemo_local.errors import Invalid
from include.nemo_local.metrics.base import OUTPUT_TEXT, Metric
from include.nemo_local.metrics.bleu import Bleu
from include.nemo_local.metrics.checks import (
    DIFFERENCE,
    NUMBER_OPERATORS,
    TEXT_OPERATORS,
    NumberCheck,
    StringCheck,
)
from include.nemo_local.metrics.judge import JudgeParams, LlmJudge
from include.nemo_local.metrics.overlap import F1, ExactMatch, Rouge
from include.nemo_local.metrics.tool_calls import ToolCalling

AskOf = Callable[[str | ModelRef], Ask]
"""Gives the way to ask a model by its name or endpoint."""

_OVERLAPS: dict[Any, Callable[[str, str], Metric]] = {
    "em": ExactMatch,
    "exact-match": ExactMatch,
    "f1": F1,
    "rouge": Rouge,
}
_TYPES = ("tool-calling", "string-check", "number-check", "em", "f1", "bleu", "rouge", "llm-judge")
_CHECK_PARTS, _DIFFERENCE_PARTS = 3, 5


def _nobody(_: str | ModelRef) -> Ask:
    """Stands for the judge while a configuration is only being checked."""
    return lambda request: request


def build(config: dict[str, Any], *, field: str, ask: AskOf = _nobody, answered: bool = True) -> Metric:
    """The metric that a configuration describes. Raises Invalid.

    ``field`` is its place in the body; ``ask`` reaches the models of judges; ``answered`` is False for a
    task whose rows no model answers.
    """
    kind, params = config.get("type"), config.get("params") or {}
    place = f"{field}.params"
    if kind in _OVERLAPS:
        truth = _template(params, "ground_truth", kind, place)
        return _OVERLAPS[kind](truth, _candidate(params, place, answered=answered))
    match kind:
        case "tool-calling":
            return _tool_calling(params, field, answered=answered)
        case "string-check":
            return _string_check(params.get("check"), f"{place}.check")
        case "number-check":
            return _number_check(params.get("check"), f"{place}.check")
        case "bleu":
            return Bleu(_references(params, place), _candidate(params, place, answered=answered))
        case "llm-judge":
            return LlmJudge(_judge_params(params, place), ask)
    raise Invalid(
        f"metric type {kind!r} is not offered by this server; it has {', '.join(_TYPES)}",
        field=f"{field}.type",
    )


def _tool_calling(params: dict[str, Any], field: str, *, answered: bool) -> Metric:
    if not answered:
        raise Invalid("tool-calling reads a model's answer; a data task has none", field=f"{field}.type")
    if "tool_calls_ground_truth" not in params:
        raise Invalid("a tool-calling metric needs `tool_calls_ground_truth`", field=f"{field}.params")
    return ToolCalling(params["tool_calls_ground_truth"])


def _string_check(check: Any, place: str) -> Metric:
    if not _all_texts(check) or len(check) != _CHECK_PARTS:
        raise Invalid("`check` must be [left, operator, right], three texts", field=place)
    if check[1] not in TEXT_OPERATORS:
        raise _unknown(check[1], tuple(TEXT_OPERATORS), place)
    return StringCheck(*check)


def _number_check(check: Any, place: str) -> Metric:
    if isinstance(check, list) and len(check) == _DIFFERENCE_PARTS and check[1] == DIFFERENCE:
        epsilon = check[4]
        plain = isinstance(epsilon, int | float) and not isinstance(epsilon, bool) and epsilon >= 0
        if _all_texts(check[:4]) and check[3] == "epsilon" and plain:
            return NumberCheck(check[0], check[1], check[2], float(epsilon))
    elif _all_texts(check) and len(check) == _CHECK_PARTS and check[1] != DIFFERENCE:
        if check[1] not in NUMBER_OPERATORS:
            raise _unknown(check[1], (*NUMBER_OPERATORS, DIFFERENCE), place)
        return NumberCheck(*check)
    raise Invalid(
        '`check` must be [left, operator, right] or [left, "absolute difference", right, "epsilon", number]',
        field=place,
    )


def _all_texts(parts: Any) -> bool:
    return isinstance(parts, list) and all(isinstance(part, str) for part in parts)


def _unknown(operation: str, known: tuple[str, ...], place: str) -> Invalid:
    return Invalid(f"operator {operation!r} is unknown; there are {', '.join(known)}", field=place)


def _template(params: dict[str, Any], name: str, kind: Any, place: str) -> str:
    value = params.get(name)
    if not isinstance(value, str):
        raise Invalid(f"metric {kind} needs `{name}`, a template", field=f"{place}.{name}")
    return value


def _references(params: dict[str, Any], place: str) -> list[str]:
    references = params.get("references")
    if not _all_texts(references) or not references:
        raise Invalid("metric bleu needs `references`, a list of templates", field=f"{place}.references")
    return list(references)


def _candidate(params: dict[str, Any], place: str, *, answered: bool) -> str:
    if "candidate" not in params and not answered:
        raise Invalid(
            "no model answers the rows of a data task: name the text to score in `candidate`",
            field=f"{place}.candidate",
        )
    return _template({"candidate": OUTPUT_TEXT} | params, "candidate", "candidate", place)


def _judge_params(params: dict[str, Any], place: str) -> JudgeParams:
    try:
        return JudgeParams.model_validate(params)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Invalid(f"llm-judge: {where}: {first['msg']}", field=f"{place}.{where}") from error

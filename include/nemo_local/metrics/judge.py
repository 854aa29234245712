"""LLM as a judge: a model reads the answer and grades it; its grades are parsed out of its text."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, field_validator

from include.nemo_local.asking import Ask, ModelRef
from include.nemo_local.metrics.base import MetricError, context_of
from include.nemo_local.templates import render

_SHOWN_CHARACTERS = 80
_WORDS = {"true": 1.0, "yes": 1.0, "1": 1.0, "false": 0.0, "no": 0.0, "0": 0.0}


class RegexParser(BaseModel):
    """The grade is the pattern's first group, or all that it matches."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["regex"]
    pattern: str

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        return pattern

    def read(self, text: str, _: str) -> Any:
        found = re.search(self.pattern, text)
        if found is None:
            raise MetricError(f"the judge's answer {_short(text)!r} does not match {self.pattern!r}")
        return found[1] if found.re.groups else found[0]


class JsonParser(BaseModel):
    """The grade stands at ``json_path`` (dots between keys) of the first JSON object in the text."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["json"]
    json_path: str | None = None

    def read(self, text: str, name: str) -> Any:
        start, end = text.find("{"), text.rfind("}")
        path = (self.json_path or name).removeprefix("$.")
        try:
            value = orjson.loads(text[start : end + 1])
            for key in path.split("."):
                value = value[int(key)] if isinstance(value, list) else value[key]
        except (orjson.JSONDecodeError, LookupError, TypeError, ValueError):
            raise MetricError(f"the judge's answer {_short(text)!r} has no JSON with {path!r}") from None
        return value


class ScoreIn(BaseModel):
    """One grade: its type and where it stands in the judge's text."""

    model_config = ConfigDict(extra="allow")

    type: Literal["int", "integer", "float", "number", "bool", "boolean"] = "int"
    parser: Annotated[RegexParser | JsonParser, Field(discriminator="type")]

    def grade(self, text: str, name: str) -> float:
        """Raises MetricError when the text holds no grade of that type."""
        raw = self.parser.read(text, name)
        value = _as_bool(raw) if self.type.startswith("bool") else _as_number(raw, self.type)
        if value is None:
            raise MetricError(f"the judge's {name} {_short(str(raw))!r} is no {self.type}")
        return value


class JudgeTemplate(BaseModel):
    """The request to the judge, rendered over the row and the answer."""

    model_config = ConfigDict(extra="allow")

    messages: list[dict[str, Any]] | str


class JudgeParams(BaseModel):
    """Parameters of the metric `llm-judge`."""

    model_config = ConfigDict(extra="allow")

    model: str | ModelRef
    template: JudgeTemplate
    scores: dict[str, ScoreIn] = Field(min_length=1)


class LlmJudge:
    """Asks the judge once a row. One that fails, or whose answer holds no grade, leaves the row ungraded."""

    failed = math.nan

    def __init__(self, params: JudgeParams, ask: Callable[[str | ModelRef], Ask]) -> None:
        self._scores = params.scores
        self._template = params.template.model_dump()
        self._ask = ask(params.model)

    @property
    def score_names(self) -> tuple[str, ...]:
        return tuple(self._scores)

    def score(self, item: dict[str, Any], sample: dict[str, Any]) -> dict[str, float]:
        message = self._ask(render(self._template, context_of(item, sample)))
        text = str(message.get("content") or "")
        return {name: score.grade(text, name) for name, score in self._scores.items()}

    def overall(self) -> dict[str, float]:
        return {}


def _as_bool(raw: Any) -> float | None:
    return _WORDS.get(str(raw).strip().lower())


def _as_number(raw: Any, kind: str) -> float | None:
    try:
        value = float(str(raw).strip())
    except ValueError:
        return None
    whole = kind.startswith("int")
    return value if math.isfinite(value) and not (whole and not value.is_integer()) else None


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"

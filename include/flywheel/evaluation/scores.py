"""The per-item scores of one model at one stage: what every verdict is computed from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from include.flywheel.errors import DecisionError
from include.flywheel.evaluation.classes import ClassScore
from include.flywheel.evaluation.specs import Stage

SHOWN_IDS = 5
"""How many ids an error message names before it only counts."""

_WHERE_THERE_ARE_SOME = ("overall", "classes", "unscored")
"""Fields that only some kinds of workload have; they are written where there is something in them."""


class StageScores(BaseModel):
    """Scores of one model at one stage; parallel arrays over the items, sorted by item id.

    `scores[name][i]` (0..1), `item_ids[i]` and `conversation_ids[i]` belong to the same item. An item
    that got no answer scores 0 and stands in `error_item_ids`. `disagreement` says where the evaluator's
    own mean differs from the mean of its items; None where they agree. `overall` holds scores (0..1) that are
    no mean of the items' scores. An item that was answered and could not be scored stands in
    `unscored[name]`; its value says nothing, and no mean and no comparison counts it.
    """

    model_config = ConfigDict(extra="forbid")

    nim: str
    """The NIM (or production model) that was asked, for example `meta/llama-3.2-1b-instruct`."""
    model: str
    """The name that answered: the NIM itself, or the output model of its customization."""
    stage: Stage
    scores: dict[str, list[float]]
    item_ids: list[str]
    conversation_ids: list[str]
    error_item_ids: list[str] = Field(default_factory=list)
    disagreement: str | None = None
    overall: dict[str, float] = Field(default_factory=dict)
    classes: list[ClassScore] = Field(default_factory=list)
    unscored: dict[str, list[str]] = Field(default_factory=dict)

    @property
    def errors(self) -> int:
        """How many items got no answer."""
        return len(self.error_item_ids)

    @property
    def items(self) -> int:
        """How many items were scored, those without an answer included."""
        return len(self.item_ids)

    @property
    def conversations(self) -> int:
        """How many different conversations the items come from."""
        return len(set(self.conversation_ids))

    def mean(self, score: str) -> float:
        """Mean of a score over all items that have it, 0..1.

        Raises DecisionError for a score that was not measured.
        """
        values = self.values(score)
        if score in self.unscored:
            values = [values[index] for index in self.scored(score)]
        return math.fsum(values) / len(values)

    def means(self) -> dict[str, float]:
        """Mean of every score over all items that have it, and the scores that are no means, by name."""
        return {name: self.mean(name) for name in sorted(self.scores)} | self.overall

    def scored(self, score: str) -> list[int]:
        """The positions of the items that have this score."""
        if score not in self.unscored:
            return list(range(self.items))
        without = set(self.unscored[score])
        return [index for index, item_id in enumerate(self.item_ids) if item_id not in without]

    def values(self, score: str) -> list[float]:
        """The values of one score, item by item. Raises DecisionError where they were not measured."""
        if score not in self.scores:
            raise DecisionError(
                f"{self.nim} at {self.stage} has no score {score!r}, only {sorted(self.scores)}; "
                "name one of these as the primary score"
            )
        return self.scores[score]

    @model_validator(mode="after")
    def _arrays_belong_together(self) -> Self:
        if not self.item_ids:
            raise ValueError(
                "item_ids is empty: there is nothing to decide from; look at the evaluation job's log"
            )
        repeated = duplicates(self.item_ids)
        if repeated:
            raise ValueError(f"item_ids holds {shown(repeated)} more than once; each item is scored once")
        if self.item_ids != sorted(self.item_ids):
            raise ValueError("item_ids is not sorted; sort the items and their scores by id")
        lengths = {"conversation_ids": len(self.conversation_ids)}
        lengths |= {f"scores[{name!r}]": len(values) for name, values in self.scores.items()}
        for field, length in lengths.items():
            if length != self.items:
                raise ValueError(
                    f"{field} has {length} entries for {self.items} items; give one for each item"
                )
        for name, values in self.scores.items():
            if bad := [value for value in values if not 0.0 <= value <= 1.0]:
                raise ValueError(f"scores[{name!r}] holds {bad[0]!r}; a score is a number from 0 to 1")
        if strangers := set(self.error_item_ids) - set(self.item_ids):
            raise ValueError(f"error_item_ids holds {shown(sorted(strangers))}, which item_ids does not")
        for name, ids in self.unscored.items():
            if name not in self.scores or set(ids) - set(self.item_ids) or len(ids) >= self.items:
                raise ValueError(f"unscored[{name!r}] names no score, other items, or all of them")
        return self

    @model_serializer(mode="wrap")
    def _without_what_is_empty(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """So that documents and digests of kinds without these fields stay as they always were."""
        written: dict[str, Any] = write(self)
        return {key: value for key, value in written.items() if value or key not in _WHERE_THERE_ARE_SOME}


def duplicates(ids: Sequence[str]) -> list[str]:
    """The ids that stand more than once, sorted."""
    return sorted(key for key, count in Counter(ids).items() if count > 1)


def shown(ids: Sequence[str]) -> str:
    """A few ids for an error message, and how many more there are."""
    text = ", ".join(ids[:SHOWN_IDS])
    return text if len(ids) <= SHOWN_IDS else f"{text} and {len(ids) - SHOWN_IDS} more"

"""What the requests of an ICL file carry, and what they do not."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from statistics import median

from pydantic import BaseModel, ConfigDict, Field

from include.flywheel.datasets.icl.config import IclConfig
from include.flywheel.errors import DataError


class IclImpossible(DataError):
    """Not one item can carry an example: an ICL file would equal the base file."""


class Unfilled(StrEnum):
    """Why a place for an example stayed empty."""

    TOO_LONG = "what was left did not fit"
    NO_OTHER = "no other example for the tools offered"
    BELOW_MINIMUM = "fewer than min_examples fitted"


class NotShown(StrEnum):
    """Why no item shows an example of a label."""

    NO_RECORD = "no training record"
    NO_EXAMPLE = "no training record with a user message"
    NOT_OFFERED = "no request offers all tools of an example"
    TOO_LONG = "no example of it fits"
    NO_PLACE = "fewer places than labels"


class IclReport(BaseModel):
    """The examples that the holdout's requests carry. Tokens are estimated, and not underestimated."""

    model_config = ConfigDict(extra="forbid")

    example_selection: str
    context_tokens: int = Field(ge=1, description="Context length that the requests and answers fit.")
    min: int = Field(ge=0, description="Fewest examples in one item.")
    median: float = Field(ge=0)
    max: int = Field(ge=0)
    labels: dict[str, int] = Field(description="Examples inserted, by label.")
    not_shown: dict[str, str] = Field(description="Labels and offered tools that no item shows, and why.")
    items_without_examples: int = Field(ge=0, description="Items that kept the base form.")
    did_not_fit: int = Field(ge=0, description="Examples that were tried and were too long for their item.")
    places: int = Field(ge=0, description="Items times `max_examples`: examples inserted and unfilled.")
    unfilled: dict[str, int] = Field(description="Places that stayed empty, by reason.")
    used_tokens_median: float = Field(ge=0, description="Length of the examples of an item.")
    used_tokens_max: int = Field(ge=0)
    room_tokens_median: float = Field(ge=0, description="Room beside an item's request and its answer.")


class IclTally:
    """Counts what the items of one ICL file carry."""

    def __init__(self, config: IclConfig) -> None:
        self._config = config
        self._examples, self._used, self._room = array("q"), array("q"), array("q")
        self._unfilled: Counter[Unfilled] = Counter()
        self._did_not_fit = 0
        self.shown: Counter[str] = Counter()
        self.tools_shown: set[str] = set()

    def add(
        self,
        labels: Iterable[str],
        tools: Iterable[str],
        *,
        used: int,
        room: int,
        too_long: int,
        dropped: bool,
    ) -> None:
        """One item: labels and tools of its examples, their tokens, and what it had no room for.

        :param dropped: the item kept its base form because fewer than `min_examples` fitted.
        """
        inserted = list(labels)
        self.shown.update(inserted)
        self.tools_shown.update(tools)
        self._examples.append(len(inserted))
        self._used.append(used)
        self._room.append(max(0, room))
        self._did_not_fit += too_long
        reason = Unfilled.TOO_LONG if too_long else Unfilled.NO_OTHER
        if dropped:
            reason = Unfilled.BELOW_MINIMUM
        self._unfilled[reason] += self._config.max_examples - len(inserted)

    def report(self, not_shown: Mapping[str, NotShown]) -> IclReport:
        """The figures of all items. Raises IclImpossible when none carries an example."""
        counts = self._examples
        if not any(counts):
            raise IclImpossible(
                f"none of the {len(counts)} items of the holdout can carry an example ({self._did_not_fit} "
                f"were too long for max_context_length {self._config.max_context_length}): raise "
                "icl.max_context_length, lower icl.reserved_tokens or icl.min_examples, or leave the icl "
                "stage out (icl: null)"
            )
        return IclReport(
            example_selection=self._config.example_selection.value,
            context_tokens=self._config.max_context_length,
            min=min(counts),
            median=median(counts),
            max=max(counts),
            labels=dict(sorted(self.shown.items())),
            not_shown={label: reason.value for label, reason in sorted(not_shown.items())},
            items_without_examples=sum(1 for count in counts if not count),
            did_not_fit=self._did_not_fit,
            places=self._config.max_examples * len(counts),
            unfilled={reason.value: count for reason, count in sorted(self._unfilled.items()) if count},
            used_tokens_median=median(self._used),
            used_tokens_max=max(self._used),
            room_tokens_median=median(self._room),
        )

"""Counting by reason, with one example each: what both ledgers are made of."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Tally(BaseModel):
    """How often something happened, and where to look for one case of it."""

    model_config = ConfigDict(extra="forbid")

    count: int = Field(ge=0)
    example: str = Field(description="Where the first such record stands: a file and line, or a document id.")


class Tallies:
    """Counts by reason; the first example of each is kept."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._examples: dict[str, str] = {}

    def add(self, reason: str, example: str, count: int = 1) -> None:
        """Count cases of `reason`, one unless said otherwise."""
        if reason in self._counts:
            self._counts[reason] += count
        else:
            self._counts[reason] = count
            self._examples[reason] = example

    def count(self, *reasons: str) -> int:
        """Cases of these reasons together."""
        return sum(self._counts.get(reason, 0) for reason in reasons)

    def result(self) -> dict[str, Tally]:
        """The tallies, most frequent first."""
        ranked = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))
        return {reason: Tally(count=n, example=self._examples[reason]) for reason, n in ranked}

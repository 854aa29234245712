"""What all metrics of a row share."""

from __future__ import annotations

from typing import Any, Protocol

from include.nemo_local.errors import NemoLocalError

OUTPUT_TEXT = "{{ sample.output_text }}"
"""The candidate of a similarity metric, unless its parameters name another."""


class MetricError(NemoLocalError):
    """A row cannot be scored by one metric; the text says why."""


class Metric(Protocol):
    """Scores one row: ``item`` is the row, ``sample`` the answer to it. Safe for several threads."""

    @property
    def score_names(self) -> tuple[str, ...]:
        """The scores of every row."""

    @property
    def failed(self) -> float:
        """What a row scores that cannot be scored: 0, or NaN where 0 would be a grade of its own."""

    def score(self, item: dict[str, Any], sample: dict[str, Any]) -> dict[str, float]:
        """Raises RenderError and MetricError."""

    def overall(self) -> dict[str, float]:
        """Scores over all rows scored so far that are no mean of the rows' scores."""


class RowMetric:
    """A metric whose aggregate is the mean over the rows, and whose failure scores 0."""

    failed = 0.0

    def overall(self) -> dict[str, float]:
        return {}


def context_of(item: dict[str, Any], sample: dict[str, Any]) -> dict[str, Any]:
    """What a metric's template sees: `item`, `sample`, and the row's fields by their own names."""
    return {**item, "item": item, "sample": sample}

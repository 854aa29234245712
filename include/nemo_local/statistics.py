"""Statistics of one score over the rows, as results show them."""

from __future__ import annotations

import math
from typing import Any


class ScoreStats:
    """Running count, moments and extremes (Welford 1962), so that no row has to be kept."""

    def __init__(self) -> None:
        self.count = 0
        self._nan_count = 0
        self._sum = self._sum_squared = self._mean = self._deviations = 0.0
        self._min, self._max = math.inf, -math.inf

    def add(self, value: float) -> None:
        """Takes one row's score; NaN is counted and left out of everything else."""
        if math.isnan(value):
            self._nan_count += 1
            return
        self.count += 1
        self._sum += value
        self._sum_squared += value * value
        distance = value - self._mean
        self._mean += distance / self.count
        self._deviations += distance * (value - self._mean)
        self._min, self._max = min(self._min, value), max(self._max, value)

    def result(self) -> dict[str, Any]:
        """``{value, stats}``. Variance and stddev are of the population; stderr is stddev / sqrt(count).

        Without any value everything but the counts and the sums is null.
        """
        empty = {"count": self.count, "nan_count": self._nan_count, "sum": self._sum}
        if not self.count:
            unknown = dict.fromkeys(("mean", "min", "max", "variance", "stddev", "stderr"))
            return {"value": None, "stats": empty | {"sum_squared": 0.0} | unknown}
        mean, variance = self._sum / self.count, self._deviations / self.count
        stats = empty | {
            "sum_squared": self._sum_squared,
            "mean": mean,
            "min": self._min,
            "max": self._max,
            "variance": variance,
            "stddev": math.sqrt(variance),
            "stderr": math.sqrt(variance / self.count),
        }
        return {"value": mean, "stats": stats}

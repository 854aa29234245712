"""Shares of thumbs-up: their intervals, and whether one is lower than another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

_NORMAL = NormalDist()
SPARSE = 5
"""With a smaller expected count in any of the four cells the normal approximation is not trusted."""


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    positive: int
    total: int

    def __post_init__(self) -> None:
        if not 0 <= self.positive <= self.total:
            raise ValueError(f"{self.positive} of {self.total} is no share")

    @property
    def value(self) -> float:
        """0 to 1; nan of nothing."""
        return self.positive / self.total if self.total else math.nan


def wilson(share: Share, confidence: float = 0.95) -> tuple[float, float]:
    """Both ends of the score interval (Wilson, J. Am. Stat. Assoc. 22 (1927) 209); 0 and 1 of nothing."""
    n = share.total
    if not n:
        return 0.0, 1.0
    z = _NORMAL.inv_cdf(0.5 + confidence / 2)
    centre = share.positive + z * z / 2
    spread = z * math.sqrt(share.positive * (n - share.positive) / n + z * z / 4)
    low, high = ((centre + sign * spread) / (n + z * z) for sign in (-1, 1))
    # What rounding leaves at the ends.
    return (0.0 if not share.positive else low), (1.0 if share.positive == n else high)


def fell(before: Share, after: Share) -> float:
    """One-sided p value of "`after` is lower than `before`": two independent proportions.

    The pooled z test; where an expected count is below SPARSE, Fisher's exact test, which does not depend on
    the approximation. 1.0 where one of them is of nothing.
    """
    total = before.total + after.total
    if not before.total or not after.total:
        return 1.0
    positive = before.positive + after.positive
    least = min(positive, total - positive) * min(before.total, after.total) / total
    if least < SPARSE:
        return _hypergeometric_tail(after.positive, total, positive, after.total)
    return _NORMAL.cdf(-pooled_z(before, after))


def pooled_z(before: Share, after: Share) -> float:
    """The z statistic of the difference of two proportions under the pooled estimate."""
    pooled = (before.positive + after.positive) / (before.total + after.total)
    variance = pooled * (1 - pooled) * (1 / before.total + 1 / after.total)
    return (before.value - after.value) / math.sqrt(variance)


def _hypergeometric_tail(at_most: int, total: int, positive: int, drawn: int) -> float:
    """P(X <= at_most) of the positives among `drawn` of `total`, `positive` of which are."""
    ways = math.comb(total, drawn)
    least = max(0, drawn - (total - positive))
    found = sum(
        math.comb(positive, k) * math.comb(total - positive, drawn - k) for k in range(least, at_most + 1)
    )
    return min(1.0, found / ways)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values in the order given (Holm, Scand. J. Statist. 6 (1979) 65)."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, so_far = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        so_far = max(so_far, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = so_far
    return adjusted

"""Intervals for means of scores whose items come in conversations.

Items of one conversation resemble each other, so conversations are resampled, not items. With s_c the
sum of the values of conversation c, n_c its number of items and w the random weights of a resample, the
resampled mean is the ratio Σ w_c·s_c / Σ w_c·n_c.

The weights are those of the Bayesian bootstrap (Rubin, The Bayesian Bootstrap, Annals of Statistics 9
(1981) 130): w ~ Dirichlet(1, …, 1), drawn as independent standard exponentials. For many conversations
it agrees with drawing them with replacement and with the cluster-robust normal interval (Miller, Adding
Error Bars to Evals, arXiv 2411.00640). For few it would share the bootstrap's flaw: from ten identical
differences it claims certainty. So each end of the interval adds one conversation of average size that
scored the worst (for the upper end: the best) possible. This is Gaffke's bound for bounded variables
(Learned-Miller & Thomas, A New Confidence Interval for the Mean of a Bounded Random Variable,
arXiv 1905.06208; Phan, Thomas & Learned-Miller, Towards Practical Mean Bounds for Small Samples, ICML
2021). For 0/1 scores with one item per conversation it is the exact interval of Clopper and Pearson
(Biometrika 26 (1934) 404); that it covers as promised for every bounded variable is conjectured, and
held in the simulations of the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CELLS_PER_CHUNK = 1_000_000
"""Weights held at a time (8 MB), whatever the number of resamples and conversations."""

TAIL_RESAMPLES = 20
"""Resamples that should fall beyond each end of an interval for the end to be steady."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over items and the two ends of its interval, in the units of the values."""

    value: float
    low: float
    high: float


def mean_interval(
    values: Sequence[float],
    clusters: Sequence[str],
    *,
    level: float,
    resamples: int,
    seed: int,
    bounds: tuple[float, float] = (0.0, 1.0),
) -> Interval:
    """Interval of the mean of `values` (one per item), whose items fall in `clusters` (conversations).

    Each end is a one-sided bound at `level`, so the interval's confidence is 1 - 2·level. `bounds` are
    the least and greatest value that an item can have. The same arguments give the same interval.
    Raises ValueError for no items, unequal lengths, values outside the bounds, or a level outside (0, 0.5).
    """
    data = np.asarray(values, dtype=np.float64)
    _check(data, clusters, level, resamples, bounds)
    sums, sizes = _per_cluster(data, clusters)
    rng = np.random.default_rng(seed)
    lows, highs = np.empty(resamples), np.empty(resamples)
    mean_size = sizes.mean()
    rows = max(1, CELLS_PER_CHUNK // (sums.size + 1))
    for start in range(0, resamples, rows):
        stop = min(start + rows, resamples)
        weights = rng.standard_exponential((stop - start, sums.size + 1))
        extra = weights[:, -1] * mean_size
        totals = weights[:, :-1] @ sums
        items = weights[:, :-1] @ sizes + extra
        lows[start:stop] = (totals + extra * bounds[0]) / items
        highs[start:stop] = (totals + extra * bounds[1]) / items
    return Interval(
        value=float(data.mean()),
        low=float(np.quantile(lows, level, method="lower")),
        high=float(np.quantile(highs, 1.0 - level, method="higher")),
    )


def difference_interval(
    candidate: Sequence[float],
    reference: Sequence[float],
    clusters: Sequence[str],
    *,
    level: float,
    resamples: int,
    seed: int,
) -> Interval:
    """Interval of the mean of `candidate[i] - reference[i]`: scores (0..1) of the same items in order.

    As `mean_interval`; the differences lie in -1..1.
    """
    if len(candidate) != len(reference):
        raise ValueError(
            f"{len(candidate)} candidate scores stand against {len(reference)}; pair them by item"
        )
    paired = np.asarray(candidate, dtype=np.float64) - np.asarray(reference, dtype=np.float64)
    return mean_interval(
        paired.tolist(), clusters, level=level, resamples=resamples, seed=seed, bounds=(-1.0, 1.0)
    )


def resamples_for(level: float, at_least: int) -> int:
    """The number of resamples that gives both ends of an interval at `level` a steady tail."""
    return max(at_least, int(np.ceil(TAIL_RESAMPLES / level)))


def _per_cluster(
    data: NDArray[np.float64], clusters: Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums and sizes by cluster, in the order of the clusters' names."""
    names, index = np.unique(np.asarray(clusters, dtype=str), return_inverse=True)
    sums = np.bincount(index, weights=data, minlength=names.size).astype(np.float64)
    sizes = np.bincount(index, minlength=names.size).astype(np.float64)
    return sums, sizes


def _check(
    data: NDArray[np.float64],
    clusters: Sequence[str],
    level: float,
    resamples: int,
    bounds: tuple[float, float],
) -> None:
    if data.size == 0:
        raise ValueError("no items: an interval needs at least one")
    if data.size != len(clusters):
        raise ValueError(f"{data.size} values stand against {len(clusters)} clusters; give one for each item")
    if not 0.0 < level < 0.5:
        raise ValueError(f"level is {level}; give a one-sided level above 0 and below 0.5")
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}; give a positive number")
    if not bool(np.all((data >= bounds[0]) & (data <= bounds[1]))):
        raise ValueError(
            f"values reach from {data.min()} to {data.max()}, outside {bounds}; check the scores"
        )

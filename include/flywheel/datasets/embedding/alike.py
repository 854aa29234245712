"""Which queries are nearly the same: their sets of words share most of what they hold."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def near_identical(words: Sequence[frozenset[int]], threshold: float) -> NDArray[np.int64]:
    """For each set of words the number of its group: sets that are alike, or joined by ones that are.

    Two sets are alike when their Jaccard index is at least `threshold`. Exact, and not quadratic: of two such
    sets the rarest words must meet (Bayardo, Ma & Srikant, Scaling Up All Pairs Similarity Search, 2007).
    Sets without a word are groups of their own.
    """
    counts = Counter(word for one in words for word in one)
    ordered = [sorted(one, key=lambda word: (counts[word], word)) for one in words]
    parent = list(range(len(words)))
    seen: dict[int, list[int]] = defaultdict(list)
    for number in sorted(range(len(words)), key=lambda n: (len(ordered[n]), n)):
        mine = ordered[number]
        prefix = mine[: len(mine) - math.ceil(threshold * len(mine) - 1e-9) + 1]
        candidates = {other for word in prefix for other in seen[word]}
        for other in candidates:
            if len(words[other]) >= threshold * len(mine) - 1e-9 and _jaccard(
                words[number], words[other]
            ) >= (threshold - 1e-9):
                _join(parent, number, other)
        for word in prefix:
            seen[word].append(number)
    return np.array([_root(parent, number) for number in range(len(words))], dtype=np.int64)


def _jaccard(first: frozenset[int], second: frozenset[int]) -> float:
    shared = len(first & second)
    return shared / (len(first) + len(second) - shared)


def _root(parent: list[int], number: int) -> int:
    while parent[number] != number:
        parent[number] = parent[parent[number]]
        number = parent[number]
    return number


def _join(parent: list[int], first: int, second: int) -> None:
    low, high = sorted((_root(parent, first), _root(parent, second)))
    parent[high] = low

"""Near-identical sets of words: as the definition says, found without comparing all pairs."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from include.flywheel.datasets.embedding.alike import near_identical

WORDS = st.lists(st.frozensets(st.integers(0, 8), max_size=7), max_size=14)


def by_definition(words: list[frozenset[int]], threshold: float) -> list[int]:
    """The least member of each set's component."""
    group = list(range(len(words)))
    for _ in words:
        for first, second in combinations(range(len(words)), 2):
            a, b = words[first], words[second]
            if (a or b) and len(a & b) >= threshold * len(a | b) - 1e-9:
                group[first] = group[second] = min(group[first], group[second])
    return group


@given(WORDS, st.sampled_from([0.3, 0.5, 2 / 3, 0.8, 1.0]))
def test_groups_are_the_components_of_what_is_alike(words: list[frozenset[int]], threshold: float) -> None:
    assert near_identical(words, threshold).tolist() == by_definition(words, threshold)


def test_the_first_of_a_group_names_it() -> None:
    words = [frozenset({1, 2, 3, 4}), frozenset({9}), frozenset({1, 2, 3, 4, 5}), frozenset({2, 3, 4, 5, 1})]
    assert near_identical(words, 0.8).tolist() == [0, 1, 0, 0]

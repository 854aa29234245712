"""BM25 as it is defined, and its order."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.flywheel.datasets.embedding.bm25 import K1, B, Bm25

TEXTS = ["the red parcel", "a parcel, a parcel and a parcel", "green", "refund of the red parcel", "red red"]


def by_definition(texts: list[str], query: str) -> list[float]:
    split = [text.lower().replace(",", "").split() for text in texts]
    mean = sum(map(len, split)) / len(split)
    scores = []
    for words in split:
        counts, score = Counter(words), 0.0
        for word in set(query.lower().split()):
            holding = sum(word in other for other in split)
            rarity = math.log(1 + (len(split) - holding + 0.5) / (holding + 0.5))
            damped = counts[word] + K1 * (1 - B + B * len(words) / mean)
            score += rarity * counts[word] * (K1 + 1) / damped
        scores.append(score)
    return scores


@pytest.mark.parametrize("query", ["red parcel", "PARCEL", "refund green", "nothing of it", ""])
def test_scores_are_those_of_the_formula(query: str) -> None:
    assert Bm25(TEXTS).scores(query).tolist() == pytest.approx(by_definition(TEXTS, query), abs=1e-5)


@given(
    st.lists(st.sampled_from(TEXTS), max_size=12),
    st.sampled_from(["red parcel", "green", "x"]),
    st.integers(1, 5),
)
def test_the_best_are_the_first_of_all_in_order(texts: list[str], query: str, count: int) -> None:
    found = Bm25(texts)
    scores = found.scores(query).tolist()
    ranked = [n for n in sorted(range(len(texts)), key=lambda n: (-scores[n], n)) if scores[n] > 0]
    assert found.best(query, count).tolist() == ranked[:count]


def test_texts_without_words_are_like_nothing() -> None:
    assert Bm25(["?!", ""]).best("?!", 3).tolist() == []
    assert len(Bm25([])) == 0

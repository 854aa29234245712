"""Likeness of texts by their terms."""

from __future__ import annotations

import numpy as np
import pytest

from include.flywheel.datasets.icl.similarity import TfidfSimilarity

TEXTS = [
    "I want to return the red shoes",
    "where is my parcel, it should have been here on Tuesday",
    "please cancel the hotel booking in Rome",
    "送货地址写错了 请修改",
    "",
]


@pytest.mark.parametrize("n", range(4))
def test_a_text_is_most_like_itself(n):
    scores = TfidfSimilarity(TEXTS).scores(TEXTS[n])
    assert int(scores.argmax()) == n
    assert scores[n] == pytest.approx(1)
    assert scores.shape == (5,)


def test_rare_terms_weigh_more_than_frequent_ones():
    texts = ["the order of shoes", "the order of lamps", "the order of chairs"]
    scores = TfidfSimilarity(texts).scores("the order: lamps")
    assert int(scores.argmax()) == 1


def test_scripts_without_spaces_are_compared_by_their_characters():
    assert TfidfSimilarity(TEXTS).scores("修改地址").argmax() == 3


def test_nothing_is_like_a_text_without_known_terms():
    assert not TfidfSimilarity(TEXTS).scores("xyzzy").any()
    assert not TfidfSimilarity(TEXTS).scores("").any()


def test_texts_without_terms_are_like_nothing():
    assert np.array_equal(TfidfSimilarity(["", "!?"]).scores("a"), [0, 0])


def test_the_order_of_the_texts_changes_no_score():
    there = TfidfSimilarity(TEXTS).scores("cancel my parcel")
    back = TfidfSimilarity(TEXTS[::-1]).scores("cancel my parcel")
    assert np.array_equal(there, back[::-1])

"""Intervals and tests of shares, against published worked examples, scipy, and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from include.flywheel.feedback.proportions import Share, fell, holm, pooled_z, wilson

# Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 3.
NEWCOMBE = [
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0000, 0.1611),
    (1, 29, 0.0061, 0.1718),
]


@pytest.mark.parametrize(("positive", "total", "low", "high"), NEWCOMBE)
def test_wilson_gives_the_published_intervals(positive: int, total: int, low: float, high: float) -> None:
    found = wilson(Share(positive, total))
    assert [round(end, 4) for end in found] == [low, high]


def test_nothing_is_known_of_no_ratings() -> None:
    assert wilson(Share(0, 0)) == (0.0, 1.0)
    assert math.isnan(Share(0, 0).value)
    assert fell(Share(0, 0), Share(1, 9)) == 1.0


def test_no_share_is_more_than_all() -> None:
    with pytest.raises(ValueError, match="5 of 4"):
        Share(5, 4)


def test_the_z_of_the_published_poll() -> None:
    """Time, 18 April 1994: 351 of 605 non-smokers and 41 of 195 smokers; Z = 8.99 in textbooks (STAT 415)."""
    assert round(pooled_z(Share(351, 605), Share(41, 195)), 2) == 8.99


@given(st.integers(1, 400), st.integers(1, 400), st.data())
def test_the_p_value_is_scipys(first: int, second: int, data: st.DataObject) -> None:
    before = Share(data.draw(st.integers(0, first)), first)
    after = Share(data.draw(st.integers(0, second)), second)
    table = [
        [after.positive, after.total - after.positive],
        [before.positive, before.total - before.positive],
    ]
    expected = np.outer(np.sum(table, axis=1), np.sum(table, axis=0)) / (first + second)
    if expected.min() < 5:
        wanted = stats.fisher_exact(table, alternative="less").pvalue
    else:
        chi2 = stats.chi2_contingency(table, correction=False).statistic
        wanted = stats.norm.sf(math.copysign(math.sqrt(chi2), before.value - after.value))
    assert fell(before, after) == pytest.approx(wanted, abs=1e-9)


def test_holm_adjusts_as_by_hand() -> None:
    """By hand: 0.005 times 4, 0.01 times 3, 0.03 times 2, 0.04 times 1, none below the one before it."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_nothing_and_bonferroni(values: list[float]) -> None:
    for raw, adjusted in zip(values, holm(values), strict=True):
        assert raw <= adjusted <= min(1.0, len(values) * raw) + 1e-12


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95, 0.99])
@pytest.mark.parametrize("total", [100, 1000])
def test_false_alarms_of_one_model_are_as_rare_as_promised(share: float, total: int) -> None:
    """20,000 pairs of windows without a change; 3.3 standard errors and what a discrete test may exceed."""
    pairs = np.random.default_rng(7).binomial(total, share, size=(20_000, 2))
    known: dict[tuple[int, int], float] = {}
    alarms = 0
    for before, after in pairs.tolist():
        key = (before, after)
        if key not in known:
            known[key] = fell(Share(before, total), Share(after, total))
        alarms += known[key] <= 0.05
    assert alarms / len(pairs) <= 0.05 + 0.006 + 0.005

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from include.flywheel.evaluation.bootstrap import (
    CELLS_PER_CHUNK,
    TAIL_RESAMPLES,
    difference_interval,
    mean_interval,
    resamples_for,
)

STEADY = {"resamples": 40_000, "seed": 11}


def singletons(count: int) -> list[str]:
    return [f"c{index:06d}" for index in range(count)]


def clopper_pearson(hits: int, count: int, level: float) -> tuple[float, float]:
    """Exact one-sided bounds of a proportion, from the beta distribution."""
    low = 0.0 if hits == 0 else float(stats.beta.ppf(level, hits, count - hits + 1))
    high = 1.0 if hits == count else float(stats.beta.ppf(1 - level, hits + 1, count - hits))
    return low, high


@pytest.mark.parametrize(("hits", "count"), [(0, 10), (1, 20), (7, 20), (50, 60), (60, 60), (93, 300)])
@pytest.mark.parametrize("level", [0.05, 0.0125])
def test_of_single_yes_or_no_items_it_is_the_exact_interval(hits, count, level):
    interval = mean_interval([1.0] * hits + [0.0] * (count - hits), singletons(count), level=level, **STEADY)

    low, high = clopper_pearson(hits, count, level)
    assert interval.value == pytest.approx(hits / count)
    assert interval.low == pytest.approx(low, abs=0.004)
    assert interval.high == pytest.approx(high, abs=0.004)


def test_of_pairs_that_only_lose_it_is_the_exact_interval_of_the_losses():
    reference = [1.0] * 100
    candidate = [0.0] * 4 + [1.0] * 96

    interval = difference_interval(candidate, reference, singletons(100), level=0.05, **STEADY)

    assert interval.value == pytest.approx(-0.04)
    assert interval.low == pytest.approx(-clopper_pearson(4, 100, 0.05)[1], abs=0.004)


def test_scipys_bootstrap_of_many_single_items_agrees():
    rng = np.random.default_rng(3)
    values = rng.random(800)
    theirs = stats.bootstrap(
        (values,), np.mean, confidence_level=0.9, n_resamples=9999, method="percentile", rng=4
    ).confidence_interval

    ours = mean_interval(values.tolist(), singletons(800), level=0.05, **STEADY)

    # Each end holds one more item at the bound, which moves it by at most 1/801.
    assert theirs.low - 0.003 < ours.low < theirs.low + 0.001
    assert theirs.high - 0.001 < ours.high < theirs.high + 0.003


def test_of_many_conversations_it_is_the_cluster_robust_normal_interval():
    rng = np.random.default_rng(5)
    clusters, sizes = 1500, rng.integers(1, 7, 1500)
    names = np.repeat([f"c{index}" for index in range(clusters)], sizes)
    values = np.clip(np.repeat(rng.random(clusters), sizes) + rng.normal(0, 0.1, names.size), 0, 1)
    sums = np.array([values[names == name].sum() for name in dict.fromkeys(names)])
    residuals = sums - values.mean() * sizes
    standard_error = np.sqrt((residuals**2).sum()) / names.size
    reach = stats.norm.ppf(0.95) * standard_error

    interval = mean_interval(values.tolist(), names.tolist(), level=0.05, resamples=20_000, seed=1)

    assert interval.low == pytest.approx(values.mean() - reach, abs=0.0015)
    assert interval.high == pytest.approx(values.mean() + reach, abs=0.0015)
    naive = stats.norm.ppf(0.95) * values.std() / np.sqrt(names.size)
    assert reach > 1.5 * naive, "the example must have correlated items"


def test_items_that_repeat_within_a_conversation_add_no_certainty():
    values = ([1.0] * 30 + [0.0] * 10) * 1
    alone = mean_interval(values, singletons(40), level=0.05, **STEADY)

    five_times = [value for value in values for _ in range(5)]
    names = [name for name in singletons(40) for _ in range(5)]
    repeated = mean_interval(five_times, names, level=0.05, **STEADY)

    assert repeated.low == pytest.approx(alone.low, abs=1e-9)
    assert repeated.high == pytest.approx(alone.high, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 6)), min_size=1, max_size=30), st.integers(0, 99))
def test_for_all_scores_the_interval_holds_the_mean_and_stays_within_the_bounds(items, seed):
    values, names = [value for value, _ in items], [f"c{name}" for _, name in items]

    interval = mean_interval(values, names, level=0.01, resamples=2000, seed=seed)

    assert 0 <= interval.low <= interval.value + 1e-9
    assert interval.value - 1e-9 <= interval.high <= 1
    assert interval == mean_interval(values, names, level=0.01, resamples=2000, seed=seed)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=30))
def test_for_all_pairs_swapping_them_mirrors_the_interval(pairs):
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    settings_ = {"level": 0.05, "resamples": 2000, "seed": 2}

    there = difference_interval(first, second, singletons(len(pairs)), **settings_)
    back = difference_interval(second, first, singletons(len(pairs)), **settings_)

    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))


def test_equal_scores_claim_no_certainty():
    interval = difference_interval([1.0] * 20, [1.0] * 20, singletons(20), level=0.05, **STEADY)

    assert interval.value == 0
    assert interval.low == pytest.approx(-(1 - 0.05 ** (1 / 20)), abs=0.004)


def test_its_memory_is_bounded_whatever_the_number_of_conversations():
    values = [1.0, 0.0] * 10_000
    tracemalloc.start()
    mean_interval(values, singletons(20_000), level=0.05, resamples=300, seed=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 5 * 8 * CELLS_PER_CHUNK, "300 x 20,000 weights at once would be 48 MB"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"values": [], "clusters": []}, "no items"),
        ({"clusters": ["a"]}, "2 values stand against 1 clusters"),
        ({"level": 0.5}, "level is 0.5"),
        ({"resamples": 0}, "resamples is 0"),
        ({"values": [0.0, 1.2]}, r"outside \(0.0, 1.0\)"),
        ({"values": [0.0, float("nan")]}, "outside"),
    ],
)
def test_what_has_no_interval_is_refused(change, said):
    arguments = {"values": [0.0, 1.0], "clusters": ["a", "b"], "level": 0.05, "resamples": 100, "seed": 0}
    with pytest.raises(ValueError, match=said):
        mean_interval(**(arguments | change))


def test_unpaired_scores_are_refused():
    with pytest.raises(ValueError, match="2 candidate scores stand against 1"):
        difference_interval([1.0, 1.0], [1.0], ["a", "b"], level=0.05, resamples=100, seed=0)


def test_a_small_level_asks_for_more_resamples():
    assert resamples_for(0.05, 10_000) == 10_000
    assert resamples_for(0.0005, 10_000) == TAIL_RESAMPLES / 0.0005

"""Simulated runs at the margin: how often a model that must not be promoted is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.random import Generator
from scipy import stats

from include.flywheel.evaluation.bootstrap import mean_interval
from include.flywheel.evaluation.decision import DecisionInputs, Verdict
from include.flywheel.evaluation.gate import Gate
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import PRIMARY_SCORE, Stage
from include.flywheel.evaluation.verdict import decide

MARGIN = 0.05
ALPHA = 0.05
PRODUCTION_QUALITY = 0.9


@dataclass(frozen=True)
class Scenario:
    """Candidates that are all worse by the margin exactly, so that no run should promote any."""

    conversations: int
    discordance: float
    """Share of conversations in which production and candidate differ; at least the margin."""
    per_conversation: int = 1
    nims: int = 1


def _scores(nim: str, stage: Stage, right: np.ndarray, per_conversation: int) -> StageScores:
    values = np.repeat(right.astype(float), per_conversation)
    return StageScores(
        nim=nim,
        model=nim,
        stage=stage,
        scores={PRIMARY_SCORE: values.tolist()},
        item_ids=[f"{index:06d}" for index in range(values.size)],
        conversation_ids=[f"c{index // per_conversation}" for index in range(values.size)],
    )


def _candidate(rng: Generator, production: np.ndarray, discordance: float) -> np.ndarray:
    losing, winning = (discordance + MARGIN) / 2, (discordance - MARGIN) / 2
    draws = rng.random(production.size)
    kept = draws >= losing / PRODUCTION_QUALITY
    won = draws < winning / (1 - PRODUCTION_QUALITY)
    return np.where(production, kept, won)


def false_promotions(scenario: Scenario, runs: int, seed: int) -> int:
    rng = np.random.default_rng(seed)
    promoted = 0
    for run in range(runs):
        production = rng.random(scenario.conversations) < PRODUCTION_QUALITY
        candidates = [_candidate(rng, production, scenario.discordance) for _ in range(scenario.nims)]
        size = scenario.per_conversation
        inputs = DecisionInputs(
            candidates=[_scores(f"nim-{n}", Stage.CUSTOMIZED, c, size) for n, c in enumerate(candidates)],
            reference=_scores("production", Stage.REFERENCE, production, size),
            gate=Gate(margin=MARGIN, alpha=ALPHA, resamples=1000),
            seed=run,
        )
        promoted += decide(inputs).verdict is Verdict.PROMOTABLE
    return promoted


def most_expected(runs: int) -> float:
    """More than this happens once in a thousand times where each run has a chance of ALPHA."""
    return float(stats.binom.ppf(0.999, runs, ALPHA))


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(conversations=30, discordance=0.05),
        Scenario(conversations=60, discordance=0.05, per_conversation=3),
        Scenario(conversations=100, discordance=0.15),
        Scenario(conversations=60, discordance=0.10, nims=3),
    ],
)
def test_a_model_at_the_margin_is_seldom_promoted(scenario):
    assert false_promotions(scenario, 150, seed=17) <= most_expected(150)


@pytest.mark.slow
@pytest.mark.parametrize("nims", [1, 2, 5, 10, 20])
@pytest.mark.parametrize("conversations", [20, 50, 100, 300])
@pytest.mark.parametrize("discordance", [0.05, 0.10, 0.15])
def test_a_model_at_the_margin_is_seldom_promoted_in_the_long_run(nims, conversations, discordance):
    scenario = Scenario(conversations, discordance, nims=nims)
    runs = max(100, 2000 // nims)

    assert false_promotions(scenario, runs, seed=17) <= most_expected(runs)


def misses(
    rng: Generator, *, runs: int, conversations: int, spread: float, quality: float
) -> tuple[int, int]:
    """How often the true mean lies below and above the interval, for items correlated by conversation."""
    below = above = 0
    names = [f"c{index}" for index in range(conversations) for _ in range(4)]
    for run in range(runs):
        chances = np.repeat(rng.beta(quality * spread, (1 - quality) * spread, conversations), 4)
        values = (rng.random(chances.size) < chances).astype(float).tolist()
        interval = mean_interval(values, names, level=ALPHA, resamples=1000, seed=run)
        below += quality < interval.low
        above += quality > interval.high
    return below, above


@pytest.mark.parametrize(("conversations", "quality"), [(15, 0.9), (60, 0.7)])
def test_the_interval_covers_the_mean_of_correlated_items(conversations, quality):
    rng = np.random.default_rng(23)

    missed = misses(rng, runs=300, conversations=conversations, spread=0.5, quality=quality)

    assert max(missed) <= most_expected(300)


@pytest.mark.slow
@pytest.mark.parametrize("conversations", [10, 30, 100, 300])
@pytest.mark.parametrize("quality", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("spread", [0.2, 2.0, 20.0])
def test_the_interval_covers_the_mean_in_the_long_run(conversations, quality, spread):
    rng = np.random.default_rng(29)

    missed = misses(rng, runs=2000, conversations=conversations, spread=spread, quality=quality)

    assert max(missed) <= most_expected(2000)

"""What the turnaround is compared with is right, and the policy comes near to it."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instances import BUDGETS, NIMS, SHAPES, Nim, instance
from optimal import best_list_schedule, bound, optimal
from simulate import Run, Way, one_after_another, simulate, simulate_runs

PLAIN = Nim(
    slug="a",
    train_gpus=1,
    serve_gpus=1,
    training_ms=12_000,
    deploy_ms=4_000,
    base_ms=7_000,
    icl_ms=7_000,
    customized_ms=7_000,
)
TWINS = [PLAIN, replace(PLAIN, slug="b")]

few = st.integers(1, 3)
tiny = st.builds(
    Nim,
    slug=st.just(""),
    train_gpus=few,
    serve_gpus=few,
    training_ms=few,
    deploy_ms=few,
    base_ms=few,
    icl_ms=few,
    customized_ms=few,
)


def by_all_starts(nims: Sequence[Nim], gpus: int) -> int:
    """The optimum, by trying every start of everything."""
    best = sum(nim.training_ms + nim.shortest_serving_ms for nim in nims)
    for starts in itertools.product(range(best), repeat=2 * len(nims)):
        spans = []
        for nim, training, serving in zip(nims, starts[::2], starts[1::2], strict=True):
            trained = training + nim.training_ms
            served = nim.served_until(trained, serving) if serving >= training else best
            spans += [(training, trained, nim.train_gpus), (serving, served, nim.serve_gpus)]
        end = max(end for _, end, _ in spans)
        if end < best and all(held_at(start, spans) <= gpus for start, _, _ in spans):
            best = end
    return best


def held_at(moment: int, spans: list[tuple[int, int, int]]) -> int:
    return sum(held for begun, ended, held in spans if begun <= moment < ended)


def named(nims: Sequence[Nim]) -> tuple[Nim, ...]:
    return tuple(replace(nim, slug=str(number)) for number, nim in enumerate(nims))


@settings(max_examples=8, deadline=None)
@given(nims=st.lists(tiny, min_size=2, max_size=2), gpus=st.integers(3, 5))
def test_the_search_finds_what_trying_everything_finds(nims: list[Nim], gpus: int) -> None:
    known = best_list_schedule(nims, gpus, tries=5)
    assert optimal(nims, gpus, known_ms=known, most_nodes=10**6) == (by_all_starts(nims, gpus), True)


@settings(max_examples=25, deadline=None)
@given(nims=st.lists(tiny, min_size=1, max_size=4), gpus=st.integers(3, 6))
def test_no_way_beats_the_optimum_and_none_uses_more_gpus(nims: list[Nim], gpus: int) -> None:
    run = named(nims)
    listed = best_list_schedule(run, gpus, tries=20)
    best, _ = optimal(run, gpus, known_ms=listed, most_nodes=10**6)
    played = simulate(run, gpus)
    assert bound(run, gpus) <= best <= min(listed, played.wall_ms)
    assert played.most_gpus <= gpus
    assert bound(run, None) == simulate(run, None).wall_ms


@given(nim=tiny, trained=st.integers(0, 20), serving=st.integers(-10, 30))
def test_a_deployment_may_wait_until_its_latest_start(nim: Nim, trained: int, serving: int) -> None:
    least = trained + nim.customized_ms
    assert (nim.served_until(trained, serving) == least) == (serving <= nim.latest_serving(trained))


@pytest.mark.parametrize(
    ("gpus", "wall_ms"),
    [(None, 19_000), (4, 19_000), (2, 23_000), (1, 46_000)],
)
def test_twins_by_hand(gpus: int | None, wall_ms: int) -> None:
    """12 s of training, and 11 s or more of serving, each on one GPU, twice."""
    assert simulate(TWINS, gpus).wall_ms == wall_ms
    assert optimal(TWINS, gpus, known_ms=10**6, most_nodes=10**6) == (wall_ms, True)


def test_the_plain_ways_by_hand() -> None:
    assert one_after_another(TWINS, 4) == 2 * 19_000
    assert simulate(TWINS, 4, Way(in_a_row=True)).wall_ms == 37_000


def test_each_handover_takes_its_time() -> None:
    """Training granted, training ended; the customized evaluation begins 0.5 s after."""
    assert simulate([PLAIN], 2, Way(handover_ms=500)).wall_ms == 19_000 + 2 * 500


def test_runs_share_the_gpus_and_the_first_ends_first() -> None:
    played = simulate_runs([Run("first", TWINS), Run("second", TWINS, 1_000)], 2)
    assert played.most_gpus == 2
    assert played.ends_ms == {"first": 23_000, "second": 46_000}


def test_instances_are_drawn_by_seed_and_fit_the_budget() -> None:
    for nims, gpus, shape in itertools.product(NIMS, BUDGETS, SHAPES):
        drawn = instance(nims, 1, shape, gpus)
        assert drawn == instance(nims, 1, shape, gpus)
        assert len({nim.slug for nim in drawn}) == nims
        assert max(max(nim.train_gpus, nim.serve_gpus) for nim in drawn) <= (gpus or 16)
    assert instance(5, 1, "small", 4) != instance(5, 2, "small", 4)


def test_the_policy_is_near_the_optimum() -> None:
    ratios = []
    for nims, gpus, shape, seed in itertools.product((3, 5), (2, 4, 8), SHAPES, (1, 2)):
        run = instance(nims, seed, shape, gpus)
        played = simulate(run, gpus)
        best, _ = optimal(run, gpus, known_ms=played.wall_ms, most_nodes=3_000)
        ratios.append(played.wall_ms / best)
    assert statistics.mean(ratios) <= 1.05
    assert max(ratios) <= 1.25


@pytest.mark.parametrize("gpus", [1, 2, 4, 8, 16])
def test_no_gpu_idles_that_a_nim_of_one_run_waits_for(gpus: int) -> None:
    for shape in SHAPES:
        assert simulate(instance(20, 1, shape, gpus), gpus).idle_ms == 0

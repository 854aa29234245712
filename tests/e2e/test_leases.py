"""Many runs, few GPUs: nobody gets more than there are, and everybody gets there."""

from __future__ import annotations

from datetime import datetime

import pytest

from include.flywheel.runs.documents import NimDocument
from include.flywheel.runs.states import RunStatus

from .conftest import CROWD, SUPPORT
from .world import World

SMALL = {"data_split_config": {"eval_size": 20, "limit": 300}, "config_name": "tight"}
TOTAL = 2


@pytest.fixture(scope="module", params=[2, pytest.param(8, marks=pytest.mark.slow)])
def crowd(world: World, request: pytest.FixtureRequest) -> dict[str, NimDocument]:
    """So many workloads at once, one of them twice, with one NIM each and two GPUs for all."""
    nim = ["meta/llama-3.2-1b-instruct"]
    at_once = f"{request.param}-at-once"
    runs = [(dag_id, at_once) for dag_id in CROWD[: request.param]] + [(CROWD[0], f"{at_once}-again")]
    jobs = {world.start(dag_id, run_id, **SMALL, nims=nim): (dag_id, run_id) for dag_id, run_id in runs}
    ended = {job: world.finish(dag_id, run_id, seconds=300) for job, (dag_id, run_id) in jobs.items()}
    assert set(ended.values()) == {"success"}, {job: world.runs.get(job).error for job in ended}
    return {job: world.runs.nims(job)[0] for job in jobs}


def test_all_of_them_end_right(crowd: dict[str, NimDocument], world: World) -> None:
    assert {world.runs.get(job).status for job in crowd} == {RunStatus.COMPLETED}
    assert [lease for lease in world.leases.held() if lease.job_id in crowd] == []
    assert [one for one in world.leases.waiting() if one.job_id in crowd] == []


def test_no_moment_has_more_leases_than_gpus(crowd: dict[str, NimDocument]) -> None:
    changes = []
    for nim in crowd.values():
        assert set(nim.leases) == {"training", "serving"}
        for lease in nim.leases.values():
            assert lease.granted_at is not None
            assert lease.released_at is not None
            assert lease.asked_at <= lease.granted_at < lease.released_at
            changes += [(lease.granted_at, lease.gpus), (lease.released_at, -lease.gpus)]
    held = highest = 0
    # What is given back and granted in the same millisecond is given back first.
    for _, change in sorted(changes):
        held += change
        highest = max(highest, held)
    assert highest == TOTAL


def test_some_had_to_wait_and_say_so(crowd: dict[str, NimDocument]) -> None:
    leases = [lease for nim in crowd.values() for lease in nim.leases.values()]
    waited = [
        (datetime.fromisoformat(lease.granted_at) - datetime.fromisoformat(lease.asked_at)).total_seconds()
        for lease in leases
        if lease.granted_at is not None
    ]
    assert max(waited) > 1


def test_a_nim_that_needs_more_than_there_is_is_refused_before_anything_is_made(world: World) -> None:
    job = world.start(
        SUPPORT,
        "too-many-gpus",
        client_id="acme-shop",
        workload_id="support_agent",
        config_name="tight",
        nims=["meta/llama-3.1-70b-instruct"],
    )
    assert world.finish(SUPPORT, "too-many-gpus") == "failed"
    error = world.runs.get(job).error or ""
    assert "meta/llama-3.1-70b-instruct" in error
    assert "needs 4 GPUs, but `gpus.total` of the profile 'tight' is 2" in error
    assert world.remote(f"run-{job}") == {"deployments": [], "live_jobs": [], "datasets": []}

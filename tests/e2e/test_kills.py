"""SIGKILL of everything that a run stands on, while it runs: it ends as if nothing had happened."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from typing import Any

import httpx
import pytest

from include.flywheel.runs.documents import RunDocument
from include.flywheel.runs.states import NimStatus, RunStatus
from include.local_stack.errors import StackError

from .conftest import SUPPORT, TURNED_CONF
from .driver import VICTIMS, Driver, plan
from .world import OVER, World

LIMIT_SECONDS = 900
# The long form: `KILLS=200 scripts/test -m slow tests/e2e/test_kills.py`.
KILLS = int(os.environ.get("KILLS", "40"))


@pytest.fixture
def undisturbed(world: World, turned: RunDocument) -> str:
    """Digest of a run that nobody killed anything of."""
    return digest(world, turned.run_id)


def test_eight_kills_change_nothing(world: World, undisturbed: str) -> None:
    kill_all(world, undisturbed, [*VICTIMS, "worker"], seed=1, pause_seconds=(0.5, 4.0))


@pytest.mark.slow
def test_many_kills_change_nothing(world: World, undisturbed: str) -> None:
    # So far apart that no task loses all its tries.
    kill_all(world, undisturbed, plan(seed=2, kills=KILLS), seed=100, pause_seconds=(2.0, 9.0))


def kill_all(
    world: World, undisturbed: str, victims: list[str], seed: int, pause_seconds: tuple[float, float]
) -> None:
    """In as many runs as it takes. A worker that could not be caught in one is hunted in the next."""
    fruitless = 0
    while victims:
        driver = Driver(world.stack, seed, pause_seconds)
        done = survive(world, undisturbed, f"killed-{seed}", driver, victims)
        fruitless = 0 if done else fruitless + 1
        assert fruitless < 3, f"none of {victims} could be killed in three runs"
        victims, seed = victims[done:], seed + 1


def survive(world: World, undisturbed: str, run_id: str, driver: Driver, victims: list[str]) -> int:
    """Kill `victims` while a run goes on, and look at what it left; returns how many were killed."""
    job_id = world.start(SUPPORT, run_id, **TURNED_CONF)

    def is_over() -> bool:
        try:
            return world.api.run_state(SUPPORT, run_id) in OVER
        except StackError:
            return False

    done = driver.drive(victims, is_over)
    deadline = time.monotonic() + LIMIT_SECONDS
    while not is_over():
        assert time.monotonic() < deadline, f"{run_id} does not end; killed: {done}"
        time.sleep(0.5)
    world.wait_unchecked("the stand-in, which may have been killed last", lambda: answers(world))
    said = f"{run_id}, killed: {done}"
    run = world.runs.get(job_id)
    assert (world.api.run_state(SUPPORT, run_id), run.status) == ("success", RunStatus.COMPLETED), (
        f"{said}: {run.error}; {run.events}"
    )
    nims = world.runs.nims(job_id)
    assert {nim.status for nim in nims} == {NimStatus.COMPLETED}, f"{said}: {[nim.error for nim in nims]}"
    assert digest(world, run_id) == undisturbed, said
    jobs = Counter(world.job_of(job) for job in world.jobs(f"run-{job_id}"))
    assert set(jobs.values()) == {1}, f"{said}: one remote job for each NIM and stage, not {jobs}"
    left = world.remote(f"run-{job_id}")
    assert (left["deployments"], left["live_jobs"]) == ([], []), said
    assert [one for one in world.leases.held() if one.job_id == job_id] == [], said
    assert [told["event"] for told in world.received(job_id)][:1] == ["run.completed"], said
    return len(done)


def answers(world: World) -> bool:
    try:
        return world.nemo.get("/health").is_success
    except httpx.HTTPError:
        return False


def digest(world: World, run_id: str) -> str:
    """Of what a run measured and decided: scores of every item, verdicts of quality."""
    run = world.document(SUPPORT, run_id)
    assert run.decision is not None
    assert run.dataset is not None
    found: list[Any] = [run.dataset["digest"], run.decision["verdict"]]
    found += [
        [slug, one.stage.value, one.item_ids, one.scores] for slug, one in world.runs.scores(run.job_id)
    ]
    return hashlib.sha256(json.dumps(found, sort_keys=True, default=str).encode()).hexdigest()

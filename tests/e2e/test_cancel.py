"""A run marked failed, wherever it is: nothing goes on remotely, and everybody says that it was cancelled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from include.flywheel.runs.documents import NimDocument
from include.flywheel.runs.states import NimStatus, RunStatus, StageName, StageStatus

from . import processes
from .conftest import SUPPORT
from .world import World

NIMS = [
    "meta/llama-3.2-1b-instruct",
    "meta/llama-3.2-3b-instruct",
    "meta/llama-3.1-8b-instruct",
    "nvidia/llama-3.1-nemotron-nano-8b-v1",
    "mistralai/mistral-7b-instruct-v0.3",
]
CONF: dict[str, Any] = {
    "client_id": "acme-shop",
    "workload_id": "support_agent",
    "data_split_config": {"eval_size": 20, "limit": 300},
    "nims": NIMS,
}
WAITING = {StageStatus.SUBMITTED, StageStatus.PENDING, StageStatus.RUNNING}
HOLD_TRAINING = {"kind": "customization", "model": "", "how": {"hold": True}}
HOLD_DEPLOYMENT = {"kind": "deployment", "model": "", "how": {"hold": True}}
HOLD_EVALUATION = {"kind": "evaluation", "model": "", "how": {"hold": True}}


@dataclass(frozen=True)
class Point:
    """A moment of a run: what holds it there, and how it is recognised."""

    reached: Callable[[World, str], bool]
    holds: list[dict[str, Any]] = field(default_factory=list)
    conf: dict[str, Any] = field(default_factory=dict)
    triggerer_down: bool = False
    twice: bool = False


def nims(world: World, job_id: str) -> list[NimDocument]:
    return world.runs.nims(job_id)


def at(stage: StageName, *statuses: StageStatus, count: int = 1) -> Callable[[World, str], bool]:
    """Whether so many NIMs are at a stage with one of these statuses."""

    def reached(world: World, job_id: str) -> bool:
        found = [nim.stages[stage].status for nim in nims(world, job_id) if stage in nim.stages]
        return sum(status in statuses for status in found) >= count

    return reached


def waits_for(kinds: set[str], besides: Callable[[World, str], bool]) -> Callable[[World, str], bool]:
    """Whether a NIM waits for GPUs, to train or to serve, while something else is so."""

    def reached(world: World, job_id: str) -> bool:
        leases = [nim.leases[kind] for nim in nims(world, job_id) for kind in kinds & set(nim.leases)]
        return any(one.granted_at is None for one in leases) and besides(world, job_id)

    return reached


def opened(world: World, job_id: str) -> bool:
    return world.runs.find(job_id) is not None


def building(world: World, job_id: str) -> bool:
    run = world.runs.find(job_id)
    return run is not None and run.status is RunStatus.RUNNING


def uploading(world: World, job_id: str) -> bool:
    run = world.runs.find(job_id)
    return run is not None and run.dataset is not None


def one_at_each(world: World, job_id: str) -> bool:
    """One evaluates, one trains, one deploys."""
    return (
        at(StageName.BASE_EVAL, StageStatus.RUNNING)(world, job_id)
        and at(StageName.CUSTOMIZE, StageStatus.RUNNING)(world, job_id)
        and at(StageName.DEPLOY, *WAITING)(world, job_id)
    )


DEPLOYED = at(StageName.DEPLOY, StageStatus.COMPLETED)
TRAINING = at(StageName.CUSTOMIZE, StageStatus.RUNNING)
EVALUATING = at(StageName.BASE_EVAL, StageStatus.RUNNING)
# The last first: a run that the schedule starts meanwhile has the others. Were its jobs held too, it would
# keep the two GPUs that there are for all runs together.
TIGHT = {"config_name": "tight", "nims": NIMS[::-1]}


def _of_the_first(hold: dict[str, Any]) -> list[dict[str, Any]]:
    """The hold, for as many NIMs as there are GPUs."""
    return [{**hold, "model": name} for name in TIGHT["nims"][:2]]


POINTS = {
    "one-at-each-stage": Point(
        one_at_each,
        [
            {**HOLD_EVALUATION, "model": "llama-3.2-1b"},
            {**HOLD_TRAINING, "model": "llama-3.2-3b"},
            {**HOLD_DEPLOYMENT, "model": "llama-3.1-8b"},
        ],
        {"nims": NIMS[:3]},
    ),
    "some-wait-for-a-lease-others-are-deployed": Point(
        waits_for({"training", "serving"}, DEPLOYED), _of_the_first(HOLD_EVALUATION), TIGHT
    ),
    "with-the-triggerer-down": Point(TRAINING, [HOLD_TRAINING], triggerer_down=True),
    "queued": Point(lambda _world, _job: True),
    "just-opened": Point(opened),
    "building": Point(building),
    "in-the-middle-of-an-upload": Point(uploading),
    "waiting-for-training": Point(waits_for({"training"}, TRAINING), _of_the_first(HOLD_TRAINING), TIGHT),
    "submitting": Point(at(StageName.CUSTOMIZE, StageStatus.SUBMITTED)),
    "deploying": Point(at(StageName.DEPLOY, *WAITING), [HOLD_DEPLOYMENT]),
    "evaluating-the-customized": Point(at(StageName.CUSTOMIZED_EVAL, *WAITING)),
    "twice": Point(EVALUATING, [HOLD_EVALUATION], twice=True),
}
IN_THE_GATE = 3


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if number < IN_THE_GATE else pytest.mark.slow)
        for number, name in enumerate(POINTS)
    ],
)
def test_cancel_leaves_nothing_running(world: World, name: str) -> None:
    point, run_id = POINTS[name], f"cancelled-{name}"
    for hold in point.holds:
        world.behave(hold["kind"], hold["model"], hold["how"])
    try:
        job_id = world.start(SUPPORT, run_id, **CONF | point.conf)
        world.wait_for(name, lambda: point.reached(world, job_id))
        cancel(world, run_id, point)
        assert world.finish(SUPPORT, run_id) == "failed"
    finally:
        world.nemo.delete("/_local/behaviours").raise_for_status()
    after = world.remote(f"run-{job_id}")
    assert (after["deployments"], after["live_jobs"]) == ([], [])
    assert not (world.stack.layout.staging / job_id).exists()
    assert [one for one in world.leases.held() if one.job_id == job_id] == []
    assert [one for one in world.leases.waiting() if one.job_id == job_id] == []
    everybody_says_so(world, job_id)


def cancel(world: World, run_id: str, point: Point) -> None:
    if point.triggerer_down:
        pid = world.stack.pid_of("airflow_triggerer")
        processes.kill(pid, *processes.descendants(pid))
    try:
        world.api.mark_failed(SUPPORT, run_id)
        if point.twice:
            world.api.mark_failed(SUPPORT, run_id)
        if point.triggerer_down:
            world.wait_unchecked("its end", lambda: world.api.run_state(SUPPORT, run_id) == "failed")
    finally:
        if point.triggerer_down:
            world.stack.start_again("airflow_triggerer")


def everybody_says_so(world: World, job_id: str) -> None:
    run = world.runs.get(job_id)
    assert run.status is RunStatus.CANCELLED, (run.error, run.events)
    assert run.everything_down_at is not None
    # A run that was cancelled before it was opened has nowhere to note when.
    assert (run.cancel_requested_at or run.created_at) < run.everything_down_at
    assert {nim.status for nim in nims(world, job_id)} <= {NimStatus.CANCELLED}
    [event] = world.received(job_id)
    assert event["event"] == "run.cancelled"
    assert event["reason"]

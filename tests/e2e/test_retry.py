"""A failed NIM alone, and a cancelled run as a whole, go on from where they stopped."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from include.flywheel.evaluation.decision import Decision
from include.flywheel.evaluation.specs import Stage
from include.flywheel.runs.states import NimStatus, RunStatus, StageName
from include.local_stack import settings

from .conftest import SUPPORT, World

RUN_ID = "retried"
NIMS = ["meta/llama-3.2-1b-instruct", "meta/llama-3.1-8b-instruct"]
CONF: dict[str, Any] = {
    "client_id": "acme-shop",
    "workload_id": "support_agent",
    "data_split_config": {"eval_size": 40, "limit": 500},
    "nims": NIMS,
}


def runs(world: World, *arguments: str) -> str:
    """What `python -m include.cli.runs` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "include.cli.runs", *arguments],
        env=os.environ | settings.as_environment(world.stack.settings) | world.airflow_connection(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def jobs_before(world: World) -> set[str]:
    """A run in which the customization of one NIM fails; its remote jobs."""
    world.behave("customization", "llama-3.2-1b", {"fail": "loss is not a number at step 3"})
    try:
        job_id = world.start(SUPPORT, RUN_ID, **CONF)
        assert world.finish(SUPPORT, RUN_ID) == "success"
    finally:
        world.nemo.delete("/_local/behaviours").raise_for_status()
    assert world.runs.nims(job_id)[0].status is NimStatus.FAILED
    return world.jobs(f"run-{job_id}")


def test_one_nim_alone_is_tried_again(jobs_before: set[str], world: World) -> None:
    before = world.document(SUPPORT, RUN_ID)
    large = world.runs.nims(before.job_id)[1]
    assert NIMS[0] in runs(world, "retry", before.job_id, "--nim", NIMS[0])
    world.wait_for("the second pass", lambda: world.document(SUPPORT, RUN_ID).pass_number == 1)
    assert world.finish(SUPPORT, RUN_ID) == "success"
    after = world.document(SUPPORT, RUN_ID)
    assert after.status is RunStatus.COMPLETED
    assert [nim.status for nim in world.runs.nims(after.job_id)] == [NimStatus.COMPLETED] * 2
    assert world.runs.nims(after.job_id)[1] == large, "the other was not touched"
    assert after.dataset == before.dataset
    assert Decision.model_validate(after.decision).candidate(NIMS[0], Stage.CUSTOMIZED) is not None
    new = world.jobs(f"run-{after.job_id}") - jobs_before
    assert len(new) == 2, "one customization and one evaluation; what was done is used again"
    assert world.runs.nims(after.job_id)[0].stages[StageName.CUSTOMIZE].attempt == 2
    left = world.remote(f"run-{after.job_id}")
    assert (left["deployments"], left["live_jobs"]) == ([], [])
    assert [event["event"] for event in world.received(after.job_id)] == ["run.completed"] * 2


def test_what_did_not_fail_is_not_tried_again(jobs_before: set[str], world: World) -> None:
    job_id = world.document(SUPPORT, RUN_ID).job_id
    done = subprocess.run(
        [sys.executable, "-m", "include.cli.runs", "retry", job_id],
        env=os.environ | settings.as_environment(world.stack.settings) | world.airflow_connection(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "nothing failed" in done.stdout + done.stderr


def test_a_cancelled_run_goes_on(world: World) -> None:
    run_id = "cancelled-and-retried"
    world.behave("customization", "llama-3.2-1b", {"hold": True})
    try:
        job_id = world.start(SUPPORT, run_id, **CONF)
        world.wait_for(
            "the other NIM's evaluations",
            lambda: len(world.runs.scores(job_id)) >= 3 or world.api.run_state(SUPPORT, run_id) == "failed",
        )
        assert runs(world, "cancel", job_id)
        assert world.finish(SUPPORT, run_id) == "failed"
    finally:
        world.nemo.delete("/_local/behaviours").raise_for_status()
    assert world.document(SUPPORT, run_id).status is RunStatus.CANCELLED
    before = world.jobs(f"run-{job_id}")
    runs(world, "retry", job_id)
    world.wait_for("the second pass", lambda: world.runs.get(job_id).pass_number == 1)
    assert world.finish(SUPPORT, run_id) == "success"
    run = world.runs.get(job_id)
    assert (run.status, run.cancel_requested_at, run.error) == (RunStatus.COMPLETED, None, None)
    assert len(Decision.model_validate(run.decision).candidates) == 6
    completed = {job for job in before if world.job(job)["status"] == "completed"}
    assert completed, "what was completed before the cancel"
    told = [event["event"] for event in world.received(job_id)]
    assert told == ["run.cancelled", "run.completed"]
    again = world.jobs(f"run-{job_id}") - before
    wanted = {
        (nim, stage) for nim in NIMS for stage in ("customize", "base_eval", "icl_eval", "customized_eval")
    }
    kept = {world.job_of(job) for job in completed}
    assert {world.job_of(job) for job in again} == wanted - kept

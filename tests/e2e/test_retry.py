"""A cancelled run goes on from where it stopped. (One failed NIM alone: with the ends.)"""

from __future__ import annotations

import pytest

from include.flywheel.evaluation.decision import Decision
from include.flywheel.runs.states import RunStatus

from .conftest import NIMS, SUPPORT
from .world import World

CONF = {
    "client_id": "acme-shop",
    "workload_id": "support_agent",
    "data_split_config": {"eval_size": 20, "limit": 300},
    "nims": NIMS,
}


@pytest.mark.slow
def test_a_cancelled_run_goes_on(world: World) -> None:
    run_id = "cancelled-and-retried"
    world.behave("customization", "llama-3.2-1b", {"hold": True})
    try:
        job_id = world.start(SUPPORT, run_id, **CONF)
        world.wait_for(
            "the other NIM's evaluations",
            lambda: len(world.runs.scores(job_id)) >= 3 or world.api.run_state(SUPPORT, run_id) == "failed",
        )
        assert world.command("cancel", job_id).returncode == 0
        assert world.finish(SUPPORT, run_id) == "failed"
    finally:
        world.nemo.delete("/_local/behaviours").raise_for_status()
    assert world.document(SUPPORT, run_id).status is RunStatus.CANCELLED
    before = world.jobs(f"run-{job_id}")
    assert world.command("retry", job_id).returncode == 0
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

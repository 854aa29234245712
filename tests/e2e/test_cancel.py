"""A run marked failed while one NIM evaluates, another trains and a third is still deploying."""

from __future__ import annotations

from include.flywheel.runs.states import NimStatus, RunStatus, StageName, StageStatus

from .conftest import SUPPORT, World

RUN_ID = "cancelled"


def test_cancel_leaves_nothing_running(world: World) -> None:
    world.behave("evaluation", "llama-3.2-1b", {"hold": True})
    world.behave("customization", "llama-3.2-3b", {"hold": True})
    world.behave("deployment", "llama-3.1-8b", {"hold": True})
    try:
        job_id = world.start(
            SUPPORT,
            RUN_ID,
            client_id="acme-shop",
            workload_id="support_agent",
            data_split_config={"eval_size": 40, "limit": 500},
        )
        world.wait_for("the three to be in the middle", lambda: _in_the_middle(world, job_id))
        before = world.remote(f"run-{job_id}")
        assert before["deployments"]
        assert before["live_jobs"]
        world.api.mark_failed(SUPPORT, RUN_ID)
        assert world.finish(SUPPORT, RUN_ID) == "failed"
    finally:
        world.nemo.delete("/_local/behaviours").raise_for_status()
    after = world.remote(f"run-{job_id}")
    assert (after["deployments"], after["live_jobs"]) == ([], [])
    run = world.document(SUPPORT, RUN_ID)
    assert run.status is RunStatus.CANCELLED
    assert run.cancel_requested_at is not None
    assert run.cancel_requested_at < run.everything_down_at
    assert {nim.status for nim in world.runs.nims(job_id)} == {NimStatus.CANCELLED}
    [event] = world.received(job_id)
    assert event["event"] == "run.cancelled"
    assert event["reason"]


def _in_the_middle(world: World, job_id: str) -> bool:
    nims = {nim.slug: nim for nim in world.runs.nims(job_id)}
    if len(nims) < 3:
        return False

    def status(slug: str, stage: StageName) -> StageStatus | None:
        found = nims[slug].stages.get(stage)
        return None if found is None else found.status

    waiting = {StageStatus.SUBMITTED, StageStatus.PENDING, StageStatus.RUNNING}
    return (
        status("meta-llama-3.2-1b-instruct", StageName.BASE_EVAL) is StageStatus.RUNNING
        and status("meta-llama-3.2-3b-instruct", StageName.CUSTOMIZE) is StageStatus.RUNNING
        and status("meta-llama-3.1-8b-instruct", StageName.DEPLOY) in waiting
    )

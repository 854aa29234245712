"""However a run ends, its document, Airflow and the application say the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from include.flywheel.evaluation.decision import Decision
from include.flywheel.evaluation.specs import Stage
from include.flywheel.runs.documents import NimDocument
from include.flywheel.runs.states import NimStatus, RunStatus, StageName, StageStatus

from .conftest import PLAIN_NIM, SUPPORT
from .world import World

SMALL = {"data_split_config": {"eval_size": 20, "limit": 300}}
SUPPORT_CONF = {"client_id": "acme-shop", "workload_id": "support_agent", **SMALL}
NIMS = ["meta/llama-3.2-1b-instruct", "meta/llama-3.2-3b-instruct", "meta/llama-3.1-8b-instruct"]
SLUGS = [name.replace("/", "-") for name in NIMS]

EACH, ALL, PLAIN = "one-at-each-stage", "all-fail", "nothing-but-base"


@pytest.fixture(scope="module")
def ended(world: World) -> Iterator[World]:
    """Three runs side by side: a NIM that fails at each stage, all that fail, one that has base alone."""
    world.behave("deployment", "llama-3.2-1b", {"fail": "image cannot be pulled"})
    world.behave("customization", "llama-3.2-3b", {"fail": "loss is not a number at step 3"})
    world.behave("evaluation", "llama-3.1-8b", {"fail": "judge lost its mind"})
    try:
        world.start(SUPPORT, EACH, **by_form(world), nims=NIMS)
        world.start(SUPPORT, ALL, **SUPPORT_CONF, nims=[NIMS[0], NIMS[2]])
        world.start(SUPPORT, PLAIN, **SUPPORT_CONF, nims=[PLAIN_NIM])
        for run_id in (EACH, ALL, PLAIN):
            world.finish(SUPPORT, run_id)
        yield world
    finally:
        world.nemo.delete("/_local/behaviours").raise_for_status()


def by_form(world: World) -> dict[str, Any]:
    """What the form sends: the value of every field."""
    details = world.api.get(f"/api/v2/dags/{SUPPORT}/details")
    form: dict[str, Any] = {name: param["value"] for name, param in details["params"].items()}
    form.pop("nims")
    return form | SMALL


@pytest.mark.parametrize(
    ("run_id", "state", "status", "event"),
    [
        (EACH, "success", RunStatus.COMPLETED, "run.completed"),
        (ALL, "failed", RunStatus.FAILED, "run.failed"),
        (PLAIN, "success", RunStatus.COMPLETED, "run.completed"),
    ],
)
def test_everybody_says_the_same(
    ended: World, run_id: str, state: str, status: RunStatus, event: str
) -> None:
    assert ended.api.run_state(SUPPORT, run_id) == state
    run = ended.document(SUPPORT, run_id)
    assert run.status is status
    assert run.everything_down_at is not None
    assert [told["event"] for told in ended.received(run.job_id)] == [event]
    left = ended.remote(f"run-{run.job_id}")
    assert (left["deployments"], left["live_jobs"]) == ([], [])
    assert [lease for lease in ended.leases.held() if lease.job_id == run.job_id] == []


def test_a_nim_that_fails_says_why_and_the_run_goes_on(ended: World) -> None:
    run = ended.document(SUPPORT, EACH)
    undeployed, untrained, unevaluated = nims(ended, EACH)
    assert [nim.status for nim in (undeployed, untrained, unevaluated)] == [NimStatus.FAILED] * 3
    assert "image cannot be pulled" in (undeployed.error or "")
    assert "loss is not a number at step 3" in (untrained.error or "")
    assert "judge lost its mind" in (unevaluated.error or "")
    assert untrained.stages[StageName.BASE_EVAL].scores
    assert "did not run because customize failed" in (
        untrained.stages[StageName.CUSTOMIZED_EVAL].detail or ""
    )
    decision = Decision.model_validate(run.decision)
    assert {(one.nim, one.stage) for one in decision.candidates} == {
        (NIMS[1], Stage.BASE),
        (NIMS[1], Stage.ICL),
    }


def test_a_failed_tasks_log_says_what_to_do(ended: World) -> None:
    [failed] = [
        one
        for one in ended.api.task_instances(SUPPORT, EACH)
        if one["task_id"] == "nim.customize" and one["state"] == "failed"
    ]
    log = ended.api.task_log(
        SUPPORT, EACH, failed["task_id"], map_index=failed["map_index"], try_number=failed["try_number"]
    )
    assert "loss is not a number at step 3" in log
    assert "Check its training files and hyperparameters" in log


def test_a_run_in_which_no_nim_could_be_evaluated_says_each_reason(ended: World) -> None:
    run = ended.document(SUPPORT, ALL)
    assert "no NIM could be evaluated" in (run.error or "")
    assert "image cannot be pulled" in (run.error or "")
    assert "judge lost its mind" in (run.error or "")
    assert run.decision is None


def test_what_cannot_be_customized_nor_shown_examples_is_evaluated_as_it_is(ended: World) -> None:
    [nim] = nims(ended, PLAIN)
    assert nim.status is NimStatus.COMPLETED
    assert nim.stages[StageName.BASE_EVAL].scores
    for stage, words in (
        (StageName.CUSTOMIZE, "no customization target"),
        (StageName.CUSTOMIZED_EVAL, "no customization target"),
        (StageName.ICL_EVAL, "no request of the holdout can carry an example"),
    ):
        assert nim.stages[stage].status is StageStatus.SKIPPED
        assert words in (nim.stages[stage].detail or "")
    decision = Decision.model_validate(ended.document(SUPPORT, PLAIN).decision)
    assert [(one.nim, one.stage) for one in decision.candidates] == [(PLAIN_NIM, Stage.BASE)]


def nims(world: World, run_id: str) -> list[NimDocument]:
    return world.runs.nims(world.document(SUPPORT, run_id).job_id)


def test_one_nim_alone_is_tried_again(ended: World) -> None:
    """After all others, which look at the runs as they ended."""
    before = ended.document(SUPPORT, EACH)
    others = [nim for nim in nims(ended, EACH) if nim.nim != NIMS[1]]
    jobs_before = ended.jobs(f"run-{before.job_id}")
    ended.nemo.delete("/_local/behaviours").raise_for_status()
    with ended.http() as http:
        answer = http.post(f"/api/jobs/{before.job_id}/retry", params={"nim": NIMS[1]})
        assert answer.status_code == 200, answer.text
        assert NIMS[1] in answer.json()["message"]
        assert http.get(f"/api/jobs/{before.job_id}").json()["status"] == "running"
    ended.wait_for("the second pass", lambda: ended.document(SUPPORT, EACH).pass_number == 1)
    assert ended.finish(SUPPORT, EACH) == "success"
    after = ended.document(SUPPORT, EACH)
    assert after.status is RunStatus.COMPLETED
    retried = nims(ended, EACH)[1]
    assert retried.status is NimStatus.COMPLETED
    assert retried.stages[StageName.CUSTOMIZE].attempt == 2
    assert [nim for nim in nims(ended, EACH) if nim.nim != NIMS[1]] == others, "not touched"
    assert after.dataset == before.dataset
    assert Decision.model_validate(after.decision).candidate(NIMS[1], Stage.CUSTOMIZED) is not None
    new = [ended.job_of(job) for job in ended.jobs(f"run-{after.job_id}") - jobs_before]
    assert sorted(new) == [(NIMS[1], "customize"), (NIMS[1], "customized_eval")], "the rest is used again"
    left = ended.remote(f"run-{after.job_id}")
    assert (left["deployments"], left["live_jobs"]) == ([], [])
    assert [event["event"] for event in ended.received(after.job_id)] == ["run.completed"] * 2


def test_what_did_not_fail_is_not_tried_again(ended: World) -> None:
    done = ended.command("retry", ended.document(SUPPORT, PLAIN).job_id)
    assert done.returncode != 0
    assert "nothing failed" in done.stdout + done.stderr

"""Embedding jobs: the customized model takes its base's place, once, on the same GPUs."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.sdk.execution_time.context import set_current_context
from airflow.triggers.base import TaskFailedEvent, TaskSuccessEvent, TriggerEvent

from include.flywheel.config.conf import ResolvedConfig, resolve
from include.flywheel.config.workload import Workload
from include.flywheel.evaluation.decision import BarKind, Decision, Verdict
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import RETRIEVAL_SCORE_NAMES, Stage
from include.flywheel.runs import ids
from include.flywheel.runs.leases.model import LeaseKind
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import StageName, StageStatus
from include.pipeline.embedding import NotDownYet, base_as_bar, customized_deployment
from include.pipeline.leases import request_for
from include.pipeline.run import Run
from include.pipeline.stage_trigger import StageTrigger
from include.pipeline.stages import submit_stage
from include.pipeline.undeploy import take_down
from include.pipeline.verdict import decide_run

from .conftest import FakeNemo

JOB = ids.job_id("flywheel_x", "r")
NAME = "nvidia/llama-3.2-nv-embedqa-1b-v2"
SLUG = NAME.replace("/", "-")
BASE, CUSTOMIZED = ids.deployment(JOB, SLUG), customized_deployment(JOB, SLUG)
OUTPUT = "flywheel/mine@cust-1"
CONTEXT: Any = {
    "dag_run": SimpleNamespace(dag_id="flywheel_x", run_id="r", clear_number=0),
    "ti": SimpleNamespace(try_number=1, max_tries=3),
}
CONF = {"client_id": "c", "workload_id": "w", "job_type": "embedding_job"}


class FakeWithDeployments(FakeNemo):
    """Deployments too, each of which serves its model; `stays`: how often one still shows once deleted."""

    def __init__(self) -> None:
        super().__init__()
        self.deployed: dict[str, dict[str, Any]] = {}
        self.deleted: set[str] = set()
        self.stays = 0
        self.created: list[str] = []
        self.while_creating: Callable[[], None] = lambda: None

    def answer(self, method: str, path: str, sent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if path.endswith("/nim/v1/models"):
            served = [one["config"]["model"].partition("@")[0] for one in self.deployed.values()]
            return 200, {"data": [{"id": name} for name in served]}
        if "/model-deployments" not in path:
            return super().answer(method, path, sent)
        name = path.rpartition("/")[2]
        if method == "POST":
            self.deployed[sent["name"]] = sent | {"status_details": {"status": "ready"}}
            self.created.append(sent["name"])
            self.while_creating()
            return 200, self.deployed[sent["name"]]
        if name not in self.deployed:
            return 404, {"detail": "no such deployment"}
        if method == "DELETE":
            self.deleted.add(name)
        elif name in self.deleted:
            self.stays -= 1
        if name in self.deleted and self.stays <= 0:
            self.deleted.remove(name)
            return (200, {}) if self.deployed.pop(name) and method == "DELETE" else (404, {"detail": "gone"})
        return 200, self.deployed[name]


@pytest.fixture
def nemo(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeWithDeployments]:
    """Behind the connection `nemo`."""
    fake = FakeWithDeployments()
    url = f"http://127.0.0.1:{fake.server.server_address[1]}"
    extra = {"data_store_url": url, "nim_proxy_url": f"{url}/nim", "namespace": "flywheel"}
    monkeypatch.setenv("AIRFLOW_CONN_NEMO", json.dumps({"conn_type": "nemo", "host": url, "extra": extra}))
    fake.customizations.append({"id": "cust-1", "output_model": OUTPUT})
    fake.deployed[BASE] = {"name": BASE, "config": {"model": NAME}, "status_details": {"status": "ready"}}
    yield fake
    fake.server.shutdown()
    fake.server.server_close()


@pytest.fixture
def run(open_run: Callable[..., RunRepository]) -> Run:
    """Its base is deployed and its customization has ended."""
    config = resolve(CONF, None).model_dump(mode="json")
    runs = open_run({SLUG: NAME}, resolved=config, dataset={"kind": "retrieval"})
    ended = {"status": StageStatus.COMPLETED.value, "submitted_at": "2026-01-05T00:00:00+00:00"}
    runs.set_stage(JOB, SLUG, StageName.CUSTOMIZE, remote_id="cust-1", **ended)
    runs.set_stage(JOB, SLUG, StageName.DEPLOY, remote_id=f"flywheel/{BASE}", **ended)
    return Run(JOB, "flywheel_x", "r", runs)


def served(run: Run) -> str:
    return submit_stage(run, SLUG, StageName.ADAPTER)


def test_the_customized_model_is_deployed_once_its_base_is_gone(run: Run, nemo: FakeWithDeployments) -> None:
    nemo.stays = 2
    for _ in range(2):
        with pytest.raises(NotDownYet):
            served(run)
    assert nemo.created == []
    assert served(run) == served(run) == f"flywheel/{CUSTOMIZED}"
    assert nemo.created == [CUSTOMIZED]
    config = nemo.deployed[CUSTOMIZED]["config"]
    assert (config["model"], config["nim_deployment"]["gpu"]) == (OUTPUT, 1)
    assert BASE not in nemo.deployed
    nim = run.runs.nim(JOB, SLUG)
    assert (nim.customized_model, nim.customized_model_uri) == (OUTPUT, f"hf://models/{OUTPUT}")


def test_a_submit_that_was_killed_after_creating_finds_its_deployment(
    run: Run, nemo: FakeWithDeployments
) -> None:
    with pytest.raises(NotDownYet):
        served(run)
    served(run)
    run.runs.set_stage(JOB, SLUG, StageName.ADAPTER, remote_id=None, submitted_at=None)
    assert served(run) == f"flywheel/{CUSTOMIZED}"
    assert nemo.created == [CUSTOMIZED]


def test_what_was_deployed_behind_a_cancel_is_removed_again(run: Run, nemo: FakeWithDeployments) -> None:
    del nemo.deployed[BASE]
    nemo.while_creating = lambda: run.runs.update_nim(JOB, SLUG, closed_pass=0)
    with pytest.raises(AirflowFailException, match="removed again"):
        served(run)
    assert nemo.deployed == {}
    with pytest.raises(AirflowFailException, match="taken down"):
        served(run)


def test_both_deployments_are_taken_down(run: Run, nemo: FakeWithDeployments) -> None:
    nemo.state = "completed"
    nemo.deployed[CUSTOMIZED] = {"name": CUSTOMIZED, "config": {"model": OUTPUT}}
    take_down(run, SLUG)
    assert nemo.deployed == {}


def trigger(seconds: float = 3600.0) -> StageTrigger:
    """What `customized_eval` waits with."""
    extra = {"job_id": JOB, "slug": SLUG, "pass_number": 0}
    pauses = {"poll_seconds": 0.05, "max_poll_seconds": 0.1}
    first = StageTrigger(
        kind="deployment",
        job="",
        served_model="flywheel/mine",
        after=StageName.BASE_EVAL.value,
        timeout_seconds=3600.0,
        deadline_at=time.time() + seconds,
        extra=extra | {"stage": StageName.ADAPTER.value},
        **pauses,
    )
    mine = extra | {"stage": StageName.CUSTOMIZED_EVAL.value}
    return StageTrigger(kind="evaluation", job="", extra=mine, first=first.arguments(), **pauses)


async def end_of(waiting: StageTrigger) -> TriggerEvent:
    # As another process builds it again.
    _, arguments = waiting.serialize()
    [event] = [event async for event in StageTrigger(**json.loads(json.dumps(arguments))).run()]
    return event


async def test_it_waits_for_the_end_of_the_base_evaluation(run: Run, nemo: FakeWithDeployments) -> None:
    nemo.state = "completed"
    run.runs.set_stage(JOB, SLUG, StageName.BASE_EVAL, status=StageStatus.RUNNING.value)
    waiting = asyncio.create_task(end_of(trigger()))
    await asyncio.sleep(1.2)
    assert BASE in nemo.deployed, "its base is still asked"
    run.runs.set_stage(JOB, SLUG, StageName.BASE_EVAL, status=StageStatus.FAILED.value)
    assert isinstance(await asyncio.wait_for(waiting, 20), TaskSuccessEvent)
    assert list(nemo.deployed) == [CUSTOMIZED]
    [job] = nemo.evaluations
    pipeline = job["target"]["retriever"]["pipeline"]
    assert pipeline == dict.fromkeys(("query_embedding_model", "index_embedding_model"), "flywheel/mine")
    url = job["config"]["tasks"]["retrieval"]["dataset"]["files_url"]
    assert url == f"hf://datasets/flywheel/fw-{JOB}/testing/beir"
    for stage in (StageName.ADAPTER, StageName.CUSTOMIZED_EVAL):
        assert run.runs.stage(JOB, SLUG, stage).status is StageStatus.COMPLETED


async def test_an_evaluation_that_does_not_end_ends_the_wait(run: Run, nemo: FakeWithDeployments) -> None:
    event = await asyncio.wait_for(end_of(trigger(seconds=-1)), 20)
    assert isinstance(event, TaskFailedEvent)
    adapter = run.runs.stage(JOB, SLUG, StageName.ADAPTER)
    assert adapter.status is StageStatus.FAILED
    assert "base_eval was not over until the deadline" in (adapter.error or "")
    assert BASE in nemo.deployed


def test_all_weights_are_trained_on_the_triplets(run: Run, nemo: FakeWithDeployments) -> None:
    nemo.customizations.clear()
    run.runs.set_stage(JOB, SLUG, StageName.CUSTOMIZE, status="pending", remote_id=None, submitted_at=None)
    submit_stage(run, SLUG, StageName.CUSTOMIZE)
    [job] = nemo.customizations
    assert job["hyperparameters"]["finetuning_type"] == "all_weights"
    assert "lora" not in job["hyperparameters"]
    assert job["config"].startswith(f"flywheel/{SLUG}-all-weights-")


def test_examples_are_skipped_with_the_reason(run: Run) -> None:
    with pytest.raises(AirflowSkipException):
        submit_stage(run, SLUG, StageName.ICL_EVAL)
    icl = run.runs.stage(JOB, SLUG, StageName.ICL_EVAL)
    assert (icl.status, icl.detail) == (StageStatus.SKIPPED, "not applicable to embedding models")


def test_nothing_is_deployed_again_where_both_evaluations_are_done(run: Run) -> None:
    assert request_for(run, SLUG, LeaseKind.SERVING) is not None
    for stage in (StageName.BASE_EVAL, StageName.CUSTOMIZED_EVAL):
        run.runs.set_stage(JOB, SLUG, stage, status=StageStatus.COMPLETED.value)
    with pytest.raises(AirflowSkipException, match="nothing is left to evaluate"):
        request_for(run, SLUG, LeaseKind.SERVING)


def config(**more: Any) -> ResolvedConfig:
    nims = more.pop("nims", None)
    workload = Workload.model_validate({"client_id": "c", "workload_id": "w", **more})
    return resolve(CONF | ({"nims": nims} if nims else {}), workload)


OTHER = "nvidia/nv-embedqa-e5-v5"


@pytest.mark.parametrize(
    ("more", "bar"),
    [
        ({}, NAME),
        ({"non_negotiable": {"min_quality": 0.7}}, None),
        ({"bar": {"production_model": NAME}, "non_negotiable": {"min_quality": 0.7}}, NAME),
        ({"bar": {"production_model": "somebody/else"}}, None),
        ({"nims": [OTHER, NAME]}, None),
        ({"nims": [OTHER, NAME], "bar": {"production_model": OTHER}}, OTHER),
    ],
)
def test_the_bar_is_the_nim_as_it_is_where_that_is_in_production(more: Any, bar: str | None) -> None:
    assert base_as_bar(config(**more)) == bar


def test_no_base_is_the_bar_of_an_llm() -> None:
    assert (
        base_as_bar(
            resolve({"client_id": "c", "workload_id": "w", "nims": ["meta/llama-3.2-1b-instruct"]}, None)
        )
        is None
    )


def scores(stage: Stage, value: float) -> StageScores:
    """Forty queries, each of its own; half of them a little better."""
    names = [f"{number:02}" for number in range(40)]
    found = [min(1.0, value + 0.1 * (number % 2)) for number in range(40)]
    return StageScores(
        nim=NAME,
        model=NAME,
        stage=stage,
        scores=dict.fromkeys(RETRIEVAL_SCORE_NAMES.values(), found),
        item_ids=names,
        conversation_ids=names,
    )


def decided(run: Run) -> Decision:
    run.runs.update(JOB, dataset_uri="hf://datasets/flywheel/x")
    with set_current_context(CONTEXT):
        decide_run()
    return Decision.model_validate(run.runs.get(JOB).decision)


@pytest.mark.usefixtures("nemo")
def test_the_customized_model_is_compared_with_its_base_on_the_same_queries(run: Run) -> None:
    run.runs.save_scores(JOB, SLUG, scores(Stage.BASE, 0.4))
    run.runs.save_scores(JOB, SLUG, scores(Stage.CUSTOMIZED, 0.7))
    decision = decided(run)
    assert (decision.bar.kind, decision.bar.model, decision.primary_score) == (
        BarKind.REFERENCE,
        NAME,
        "ndcg_at_10",
    )
    [candidate] = decision.candidates
    assert (candidate.stage, candidate.verdict) == (Stage.CUSTOMIZED, Verdict.PROMOTABLE)
    assert candidate.difference is not None
    assert candidate.difference.value == pytest.approx(0.3)
    assert 0.1 < candidate.difference.low <= 0.3
    assert [one.stage for one in decision.missing] == [Stage.ICL]


@pytest.mark.usefixtures("nemo")
def test_a_run_of_which_only_the_base_was_evaluated_has_no_winner(run: Run) -> None:
    run.runs.save_scores(JOB, SLUG, scores(Stage.BASE, 0.4))
    decision = decided(run)
    assert (decision.verdict, decision.winner, decision.candidates) == (Verdict.INCONCLUSIVE, None, [])


@pytest.mark.usefixtures("nemo")
def test_with_a_threshold_both_are_candidates(run: Run) -> None:
    limited = config(non_negotiable={"min_quality": 0.6}).model_dump(mode="json")
    run.runs.update(JOB, resolved=limited)
    run.runs.save_scores(JOB, SLUG, scores(Stage.BASE, 0.4))
    run.runs.save_scores(JOB, SLUG, scores(Stage.CUSTOMIZED, 0.7))
    found = {one.stage: one.verdict for one in decided(run).candidates}
    assert found == {Stage.BASE: Verdict.REJECTED, Stage.CUSTOMIZED: Verdict.PROMOTABLE}

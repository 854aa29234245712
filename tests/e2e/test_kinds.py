"""Workloads whose answers are no tool calls: one chats, and a NIM judges it; one gives labels."""

from __future__ import annotations

import pytest

from include.flywheel.evaluation.decision import BarKind, Decision, Verdict
from include.flywheel.evaluation.judging import prompt
from include.flywheel.evaluation.specs import Stage
from include.flywheel.runs.documents import RunDocument
from include.flywheel.runs.repository import REFERENCE
from include.flywheel.runs.shared import SharedNims
from include.flywheel.runs.states import NimStatus, RunStatus, StageName

from .conftest import HELP, JUDGE_NIM, NIMS, ROUTING
from .world import World

RUN = "by-kind"
HOLDOUT = 60
CONF = {"nims": NIMS[:1], "data_split_config": {"eval_size": HOLDOUT, "min_total_records": 100}}
EVALUATIONS = (StageName.BASE_EVAL, StageName.ICL_EVAL, StageName.CUSTOMIZED_EVAL)


@pytest.fixture(scope="module")
def ended(world: World) -> dict[str, RunDocument]:
    """Both, side by side, by DAG id."""
    for dag_id in (HELP, ROUTING):
        workload = dag_id.rpartition("__")[2]
        world.start(dag_id, RUN, client_id="acme-shop", workload_id=workload, **CONF)
    for dag_id in (HELP, ROUTING):
        assert world.finish(dag_id, RUN) == "success", world.document(dag_id, RUN).error
    return {dag_id: world.document(dag_id, RUN) for dag_id in (HELP, ROUTING)}


@pytest.fixture(scope="module")
def chat(ended: dict[str, RunDocument]) -> RunDocument:
    return ended[HELP]


@pytest.fixture(scope="module")
def routing(ended: dict[str, RunDocument]) -> RunDocument:
    return ended[ROUTING]


def test_the_judge_grades_every_answer_of_every_stage(chat: RunDocument, world: World) -> None:
    assert chat.status is RunStatus.COMPLETED
    assert chat.dataset is not None
    assert chat.dataset["kind"] == "chat"
    judge = chat.judge
    assert judge is not None
    assert (judge.model, judge.type, judge.error) == (JUDGE_NIM, "local", None)
    assert (judge.prompt_version, judge.prompt_digest) == (prompt.VERSION, prompt.digest())
    assert judge.counts == {"judged": 4 * HOLDOUT, "requests": 4 * HOLDOUT, "retries": 0, "unjudged": 0}
    judgements = world.runs.judgements(chat.job_id)
    assert len(judgements) == 4
    grades = {grade for one in judgements for grade in one.grades}
    assert grades <= set(range(1, 11))
    assert 10 in grades, "equal answers get the highest grade"


def test_chat_is_decided_by_similarity(chat: RunDocument, world: World) -> None:
    decision = Decision.model_validate(chat.decision)
    assert decision.primary_score == "similarity"
    assert decision.bar.kind is BarKind.REFERENCE
    assert {one.stage for one in decision.candidates} == {Stage.BASE, Stage.ICL, Stage.CUSTOMIZED}
    assert all(set(one.scores) == {"similarity", "rouge_l", "rouge_1"} for one in decision.candidates)
    assert decision.verdict in set(Verdict)
    [nim] = world.runs.nims(chat.job_id)
    assert nim.status is NimStatus.COMPLETED
    scores = {stage: nim.stages[stage].scores for stage in EVALUATIONS}
    learnt = scores[StageName.CUSTOMIZED_EVAL]["similarity"]
    assert learnt > scores[StageName.BASE_EVAL]["similarity"] + 0.2, "there is something to learn"
    reference = chat.reference
    assert reference is not None
    assert reference.stage.scores["similarity"] >= learnt - 0.1


def test_the_judge_is_gone_with_its_last_user(chat: RunDocument, world: World) -> None:
    assert chat.judge is not None
    assert chat.judge.deployment_status == "completed"
    assert SharedNims(world.database).all() == []
    assert [lease for lease in world.leases.held() if lease.slug.startswith("judge/")] == []
    deployed = world.nemo.get("/v1/deployment/model-deployments", params={"page_size": 1000}).json()["data"]
    assert [one["name"] for one in deployed if one["name"].startswith("fw-judge")] == []


def test_labels_are_counted_by_class(routing: RunDocument, world: World) -> None:
    assert routing.status is RunStatus.COMPLETED
    assert routing.dataset is not None
    assert routing.dataset["kind"] == "classification"
    assert routing.judge is None, "labels need no judge"
    decision = Decision.model_validate(routing.decision)
    assert decision.primary_score == "accuracy"
    [nim] = world.runs.nims(routing.job_id)
    stages = {stage: nim.stages[stage] for stage in EVALUATIONS}
    for stage in stages.values():
        assert set(stage.scores) == {"accuracy", "f1_macro"}
        assert sum(one.items for one in stage.classes) == HOLDOUT
        right = sum(one.correct for one in stage.classes)
        assert stage.scores["accuracy"] == pytest.approx(right / HOLDOUT)
    base, customized = stages[StageName.BASE_EVAL], stages[StageName.CUSTOMIZED_EVAL]
    assert customized.scores["accuracy"] > base.scores["accuracy"] + 0.1
    assert customized.scores["f1_macro"] > base.scores["f1_macro"]


def test_the_production_model_answers_both_again(ended: dict[str, RunDocument], world: World) -> None:
    for run in ended.values():
        assert (REFERENCE, Stage.REFERENCE) in {
            (slug, one.stage) for slug, one in world.runs.scores(run.job_id)
        }


def test_people_see_the_classes_and_the_judge(ended: dict[str, RunDocument], world: World) -> None:
    shown = world.command("show", ended[ROUTING].job_id).stdout
    assert "f1_macro" in shown
    assert "delivery" in shown
    shown = world.command("show", ended[HELP].job_id).stdout
    assert f"judge {JUDGE_NIM} (local)" in shown
    assert "of 10" in shown

"""Runs as the jobs API shows them: in the contract's words, and never better than what is written down."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from include.flywheel.jobs.views import detail, list_item
from include.flywheel.jobs.wire import DeploymentStatus
from include.flywheel.runs.documents import NimDocument, RunDocument, Stage
from include.flywheel.runs.search import RunSummary
from include.flywheel.runs.states import NimStatus, RunStatus, StageName, StageStatus

JOB = "0123456789abcdef01234567"
DATASET = {"ledger": {"records_read": 120, "train": 80, "val": 8, "eval": 20, "in_store": 500}}


def at(minute: int) -> str:
    return f"2026-03-02T09:{minute:02}:00.000+00:00"


def run(status: RunStatus = RunStatus.RUNNING, **fields: Any) -> RunDocument:
    names = {"job_id": JOB, "dag_id": "d", "run_id": "r", "client_id": "c", "workload_id": "w"}
    return RunDocument(**names, status=status, created_at=at(0), **fields)


def nim(status: NimStatus = NimStatus.RUNNING_EVALS, **fields: Any) -> NimDocument:
    return NimDocument(job_id=JOB, nim="meta/a", slug="meta-a", order=0, status=status, **fields)


def done(began: int, ended: int, **fields: Any) -> Stage:
    times = {"submitted_at": at(began), "started_at": at(began), "finished_at": at(ended)}
    return Stage(status=StageStatus.COMPLETED, **times, **fields)


def test_a_run_that_was_only_asked_for() -> None:
    shown = detail(run(RunStatus.PENDING), [])
    assert (shown.status, shown.num_records, shown.datasets, shown.nims) == (RunStatus.PENDING, 0, [], [])
    assert shown.started_at.isoformat() == "2026-03-02T09:00:00+00:00"
    assert (shown.finished_at, shown.llm_judge) == (None, None)


def test_a_run_at_work() -> None:
    evaluation = Stage(
        status=StageStatus.RUNNING, submitted_at=at(5), started_at=at(6), progress_percent=40, remote_uri="u"
    )
    training = done(2, 5, figures={"epochs_completed": 2, "steps_completed": 10}, remote_uri="t")
    stages = {
        StageName.DEPLOY: done(3, 4),
        StageName.BASE_EVAL: evaluation,
        StageName.CUSTOMIZE: training,
        StageName.ICL_EVAL: Stage(status=StageStatus.SKIPPED, detail="no room"),
        StageName.CUSTOMIZED_EVAL: Stage(),
    }
    document = run(started_at=at(1), dataset=DATASET, dataset_uri="hf://d")
    shown = detail(document, [nim(stages=stages, customized_model="default/m@1")], at(10))
    assert shown.num_records == 120
    assert [one.model_dump() for one in shown.datasets] == [
        {"name": f"fw-{JOB}", "num_records": 108, "nmp_uri": "hf://d"}
    ]
    [one] = shown.nims
    assert (one.deployment_status, one.runtime_seconds) == (DeploymentStatus.READY, 480.0)
    [base] = one.evaluations
    assert (base.eval_type, base.progress, base.runtime_seconds, base.nmp_uri) == ("base-eval", 40, 240, "u")
    assert (base.finished_at, base.mlflow_uri, base.error) == (None, None, None)
    [custom] = one.customizations
    assert (custom.epochs_completed, custom.steps_completed, custom.progress) == (2, 10, 100)
    assert (custom.customized_model, custom.runtime_seconds) == ("default/m@1", 180)
    assert [(left.stage, left.reason) for left in one.not_run] == [("icl_eval", "no room")]


def test_similarity_is_a_grade_and_other_scores_are_shares() -> None:
    stages = {StageName.BASE_EVAL: done(1, 2, scores={"similarity": 1.0, "rouge_l": 0.5})}
    [one] = detail(run(), [nim(stages=stages)]).nims
    assert one.evaluations[0].scores == {"similarity": 10.0, "rouge_l": 0.5}


@pytest.mark.parametrize("status", [StageStatus.FAILED, StageStatus.CANCELLED])
def test_what_failed_says_why_and_how_far_it_came(status: StageStatus) -> None:
    stages = {
        StageName.BASE_EVAL: Stage(status=status, finished_at=at(4), error="401", progress_percent=30),
        StageName.CUSTOMIZE: Stage(status=status, submitted_at=at(1), finished_at=at(4), detail="no GPU"),
    }
    [one] = detail(run(), [nim(NimStatus.FAILED, stages=stages, error="why")]).nims
    assert (one.status, one.error) == (NimStatus.FAILED, "why")
    assert (one.evaluations[0].error, one.evaluations[0].progress) == ("401", 30)
    assert (one.customizations[0].error, one.customizations[0].customized_model) == ("no GPU", None)


DEPLOYMENTS = [
    (None, NimStatus.PENDING, None, "pending"),
    (StageStatus.PENDING, NimStatus.DEPLOYING, None, "pending"),
    (StageStatus.SUBMITTED, NimStatus.DEPLOYING, None, "created"),
    (StageStatus.RUNNING, NimStatus.DEPLOYING, None, "running"),
    (StageStatus.COMPLETED, NimStatus.RUNNING_EVALS, None, "ready"),
    (StageStatus.COMPLETED, NimStatus.COMPLETED, at(9), "completed"),
    (StageStatus.FAILED, NimStatus.FAILED, at(9), "failed"),
    (StageStatus.CANCELLED, NimStatus.CANCELLED, at(9), "cancelled"),
    (StageStatus.SKIPPED, NimStatus.COMPLETED, at(9), "completed"),
    (StageStatus.SKIPPED, NimStatus.FAILED, at(9), "cancelled"),
    (None, NimStatus.CANCELLED, at(9), "cancelled"),
    (StageStatus.RUNNING, NimStatus.FAILED, None, "unknown"),
]


@pytest.mark.parametrize(("stage", "status", "down", "word"), DEPLOYMENTS)
def test_deployments_have_the_contracts_words(
    stage: StageStatus | None, status: NimStatus, down: str | None, word: str
) -> None:
    stages = {StageName.BASE_EVAL: done(1, 2)}
    stages |= {} if stage is None else {StageName.DEPLOY: Stage(status=stage)}
    [one] = detail(run(), [nim(status, stages=stages, undeployed_at=down)]).nims
    assert one.deployment_status == word


def test_no_nim_looks_better_than_its_run_or_its_evaluations() -> None:
    for status, state, stage in itertools.product(RunStatus, NimStatus, StageStatus):
        ended = at(9) if status.is_over else None
        document = run(status, finished_at=ended, error=None)
        [one] = detail(document, [nim(state, stages={StageName.BASE_EVAL: Stage(status=stage)})]).nims
        if one.status is NimStatus.COMPLETED:
            assert (state, stage) == (NimStatus.COMPLETED, StageStatus.COMPLETED)
        if status.is_over:
            assert one.status.is_over
        if one.status is NimStatus.FAILED and state is not NimStatus.FAILED:
            assert one.error
        assert all(0 <= shown.progress <= 100 for shown in one.evaluations)


def test_a_list_shows_the_same_of_a_summary_as_of_the_whole() -> None:
    document = run(RunStatus.FAILED, error="why", dataset=DATASET, finished_at=at(3))
    assert list_item(RunSummary.of(document)) == list_item(document)
    whole = detail(document, []).model_dump(include=set(type(list_item(document)).model_fields))
    assert whole == list_item(document).model_dump()

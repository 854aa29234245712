"""A stage as a task: submitted once, looked at before it is waited for, not tried again by itself."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred
from airflow.sdk.execution_time.context import set_current_context

from include.flywheel.config.conf import resolve
from include.flywheel.evaluation.specs import Stage
from include.flywheel.runs import ids
from include.flywheel.runs.leases.model import LeaseKind, LeaseRequest
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import StageName, StageStatus
from include.pipeline.operators import CustomizeStage, DeployStage, EvaluateStage
from include.stores.leases import open_leases

from .conftest import FakeNemo

JOB = ids.job_id("flywheel_x", "r")
NIM = {"name": "meta/llama-3.2-1b-instruct", "slug": "one"}
LEASED = {"name": NIM["name"], "slug": "meta-llama-3.2-1b-instruct"}
CONTEXT: Any = {
    "dag_run": SimpleNamespace(dag_id="flywheel_x", run_id="r", clear_number=0),
    "ti": SimpleNamespace(try_number=1, max_tries=3),
}


@pytest.fixture
def opened(open_run: Callable[..., RunRepository]) -> RunRepository:
    config = resolve({"client_id": "c", "workload_id": "w"}, None)
    return open_run({NIM["slug"]: NIM["name"]}, resolved=config.model_dump(mode="json"))


def run_task() -> Any:
    task = EvaluateStage(task_id="base_eval", nim=NIM, which=Stage.BASE)
    with set_current_context(CONTEXT):
        # Without the guard that wants a task runner around it.
        return type(task).execute.__wrapped__(task, CONTEXT)


def test_what_runs_is_waited_for_in_the_triggerer(opened: RunRepository, fake_nemo: FakeNemo) -> None:
    with pytest.raises(TaskDeferred) as deferred:
        run_task()
    path, arguments = deferred.value.trigger.serialize()
    assert path == "include.pipeline.stage_trigger.StageTrigger"
    assert (arguments["job"], arguments["extra"]["stage"]) == ("job-1", "base_eval")
    assert opened.stage(JOB, "one", StageName.BASE_EVAL).remote_id == "job-1"


def test_what_ended_on_the_way_is_not_waited_for(opened: RunRepository, fake_nemo: FakeNemo) -> None:
    fake_nemo.state = "completed"
    assert run_task() == "job-1"
    assert opened.stage(JOB, "one", StageName.BASE_EVAL).status is StageStatus.COMPLETED


def test_a_try_after_a_killed_one_waits_for_the_same_job(opened: RunRepository, fake_nemo: FakeNemo) -> None:
    for _ in range(2):
        with pytest.raises(TaskDeferred):
            run_task()
    assert len(fake_nemo.evaluations) == 1


def test_what_failed_is_not_started_anew_before_somebody_asks(
    opened: RunRepository, fake_nemo: FakeNemo
) -> None:
    fake_nemo.state = "failed"
    with pytest.raises(TaskDeferred):
        run_task()
    for _ in range(2):
        with pytest.raises(AirflowFailException, match="retry the NIM"):
            run_task()
    assert len(fake_nemo.evaluations) == 1
    assert opened.begin_nim_pass(JOB, "one", 1)
    with pytest.raises(TaskDeferred):
        run_task()
    assert len(fake_nemo.evaluations) == 2


@pytest.fixture
def tight(open_run: Callable[..., RunRepository]) -> RunRepository:
    """A run whose profile has one GPU for all."""
    config = resolve({"client_id": "c", "workload_id": "w"}, None).model_dump(mode="json")
    return open_run({LEASED["slug"]: LEASED["name"]}, resolved=config | {"gpus": {"total": 1}})


def run_leased(stage: type[CustomizeStage] | type[DeployStage]) -> Any:
    task = stage(task_id="leased", nim=LEASED)
    with set_current_context(CONTEXT):
        return type(task).execute.__wrapped__(task, CONTEXT)


def test_what_has_its_gpus_at_once_is_submitted_by_the_task(
    tight: RunRepository, fake_nemo: FakeNemo
) -> None:
    with pytest.raises(TaskDeferred) as deferred:
        run_leased(CustomizeStage)
    _, arguments = deferred.value.trigger.serialize()
    assert (arguments["job"], arguments["lease"]) == ("job-1", None)
    assert [lease.slug for lease in open_leases().held()] == [LEASED["slug"]]


def test_what_waits_for_gpus_is_submitted_by_the_trigger(tight: RunRepository, fake_nemo: FakeNemo) -> None:
    other = LeaseRequest(job_id="other", slug="other", kind=LeaseKind.TRAINING, gpus=1, total=1, try_number=1)
    assert open_leases().take(other).granted
    with pytest.raises(TaskDeferred) as deferred:
        run_leased(CustomizeStage)
    _, arguments = deferred.value.trigger.serialize()
    assert (arguments["job"], arguments["lease"]["gpus"]) == ("", 1)
    assert fake_nemo.customizations == []


def test_a_deployment_waits_until_training_has_its_gpus(tight: RunRepository, fake_nemo: FakeNemo) -> None:
    with pytest.raises(TaskDeferred) as deferred:
        run_leased(DeployStage)
    assert deferred.value.trigger.serialize()[1]["lease"]["kind"] == "serving"
    assert (open_leases().held(), open_leases().waiting()) == ([], [])


def test_gpus_of_what_is_refused_go_to_others(tight: RunRepository, fake_nemo: FakeNemo) -> None:
    fake_nemo.refuses = True
    with pytest.raises(AirflowFailException, match="no such target"):
        run_leased(CustomizeStage)
    assert open_leases().held() == []

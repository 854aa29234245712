from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import TaskDeferred
from airflow.serialization.decoders import smart_decode_trigger_kwargs
from airflow.serialization.serialized_objects import DagSerialization

from include.airflow_nemo.errors import JobFailed
from include.airflow_nemo.links import RemoteJobLink
from include.airflow_nemo.sensors import (
    CustomizationSensor,
    DeploymentSensor,
    EvaluationSensor,
    NemoJobSensor,
)
from include.airflow_nemo.triggers import NemoJobTrigger
from include.airflow_nemo.watching import MISSING_POLLS
from include.nemo.errors import Unauthorized

EVALUATION = "GET /v1/evaluation/jobs/eval-1"
PULLED = "{{ ti.xcom_pull(task_ids='submit', map_indexes=ti.map_index) }}"


def _in_dag(sensor: type[NemoJobSensor], **kwargs: Any) -> Any:
    with DAG("d", schedule=None) as dag:
        sensor(task_id="wait", **kwargs)
    return dag


def test_a_sensor_starts_in_the_triggerer_and_survives_serialization() -> None:
    dag = _in_dag(EvaluationSensor, job=PULLED, extra={"run": "{{ run_id }}"}, timeout_seconds=60)
    task = DagSerialization.from_dict(DagSerialization.to_dict(dag)).get_task("wait")
    assert task.start_from_trigger is True
    arguments = task.start_trigger_args
    assert arguments.trigger_cls == "include.airflow_nemo.triggers.NemoJobTrigger"
    assert arguments.next_method == "execute_complete"
    assert arguments.timeout == timedelta(seconds=180)
    trigger = NemoJobTrigger(**smart_decode_trigger_kwargs(arguments.trigger_kwargs))
    assert (trigger.kind, trigger.job, trigger.extra) == ("evaluation", PULLED, {"run": "{{ run_id }}"})
    assert {"job", "served_model", "extra", "nemo_conn_id"} <= set(task.template_fields)


def test_templates_are_rendered_on_the_trigger_as_airflow_does_it() -> None:
    dag = _in_dag(EvaluationSensor, job="{{ job }}", extra={"nim": "{{ nim }}"})
    task = DagSerialization.from_dict(DagSerialization.to_dict(dag)).get_task("wait")
    trigger = NemoJobTrigger(**smart_decode_trigger_kwargs(task.start_trigger_args.trigger_kwargs))
    trigger.task_instance = type("Instance", (), {"task": task, "task_id": "wait"})()
    trigger.render_template_fields({"job": "eval-1", "nim": "meta/m"}, dag.get_template_env())
    assert (trigger.job, trigger.extra) == ("eval-1", {"nim": "meta/m"})


@pytest.mark.parametrize("switch", [{"start_from_trigger": False}, {"deferrable": False}])
def test_it_can_start_in_a_worker(switch: dict[str, bool]) -> None:
    dag = _in_dag(EvaluationSensor, job="eval-1", **switch)
    task = DagSerialization.from_dict(DagSerialization.to_dict(dag)).get_task("wait")
    assert task.start_from_trigger is False
    assert task.start_trigger_args is None


def test_a_worker_defers_to_the_same_trigger_with_a_deadline_of_its_own() -> None:
    sensor = CustomizationSensor(task_id="wait", job="cust-1", timeout_seconds=60, extra={"stage": "s"})
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})
    trigger = deferred.value.trigger
    assert isinstance(trigger, NemoJobTrigger)
    assert (trigger.kind, trigger.job, trigger.extra) == ("customization", "cust-1", {"stage": "s"})
    assert trigger.deadline_at == pytest.approx(time.time() + 60, abs=5)
    assert deferred.value.timeout == timedelta(seconds=180)
    assert deferred.value.method_name == "execute_complete"


class OtherSensor(EvaluationSensor):
    """Names its trigger once."""

    trigger_cls = "airflow.triggers.testing.SuccessTrigger"


def test_the_trigger_can_be_replaced_by_a_subclass_or_a_parameter() -> None:
    path = "airflow.triggers.testing.FailureTrigger"
    sensor = OtherSensor(task_id="a", job="eval-1")
    assert sensor.start_trigger_args is not None
    assert sensor.start_trigger_args.trigger_cls == OtherSensor.trigger_cls
    sensor = EvaluationSensor(task_id="b", job="eval-1", trigger_cls=path)
    assert sensor.start_trigger_args is not None
    assert sensor.start_trigger_args.trigger_cls == path
    assert EvaluationSensor.trigger_cls == "include.airflow_nemo.triggers.NemoJobTrigger"


def test_an_empty_job_is_refused_before_deferring() -> None:
    with pytest.raises(JobFailed, match="log of the submit task"):
        EvaluationSensor(task_id="wait", job="None").execute({})


@pytest.mark.parametrize(
    ("event", "state", "returned"),
    [("success", "completed", "eval-1"), ("failed", "completed", "eval-1")],
)
def test_execute_complete_takes_the_state_that_dag_test_gives(
    nemo: Any, event: str, state: str, returned: str
) -> None:
    nemo.will(EVALUATION, {"id": "eval-1", "status": state})
    assert EvaluationSensor(task_id="wait", job="eval-1").execute_complete({}, event) == returned


@pytest.mark.parametrize(
    ("state", "words"), [("failed", "ended as failed: boom"), ("running", "trigger's lines above")]
)
def test_execute_complete_fails_with_the_reason(nemo: Any, state: str, words: str) -> None:
    nemo.will(EVALUATION, {"id": "eval-1", "status": state, "status_details": {"message": "boom"}})
    with pytest.raises(JobFailed, match=words):
        EvaluationSensor(task_id="wait", job="eval-1").execute_complete({}, "failed")


def test_a_worker_can_poke(nemo: Any) -> None:
    where = "GET /v1/deployment/model-deployments/ns/d"
    nemo.will(where, *[{"status_details": {"status": state}} for state in ("pending", "ready")])
    nemo.will("GET /nim/v1/models", {"data": []}, {"data": [{"id": "m"}]})
    sensor = DeploymentSensor(task_id="wait", job="ns/d", served_model="m", deferrable=False)
    pokes = [sensor.poke({}) for _ in range(3)]
    assert [bool(poke) for poke in pokes] == [False, False, True]
    assert pokes[-1].xcom_value == "m"
    nemo.will(where, {"status_details": {"status": "failed", "description": "no such image"}})
    with pytest.raises(JobFailed, match="no such image"):
        sensor.poke({})


FAST: dict[str, Any] = {"poll_seconds": 0.01, "max_poll_seconds": 0.02, "deferrable": False}


def test_a_worker_survives_a_flapping_server(nemo: Any) -> None:
    nemo.will(
        EVALUATION,
        nemo.drop,
        {"id": "eval-1", "status": "running"},
        (503, {"detail": "starting"}),
        (429, {"detail": "slow down"}),
        "<html>a proxy's page</html>",
        nemo.cut,
        (404, {"detail": "not on this replica"}),
        {"id": "eval-1", "status": "hibernating"},
        {"id": "eval-1", "status": "completed"},
    )
    assert EvaluationSensor(task_id="wait", job="eval-1", **FAST).execute({}) == "eval-1"
    assert len(nemo.seen) == 9


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        ((401, {"detail": "who?"}), Unauthorized, "password of the `nemo`"),
        ((404, {"detail": "no such job"}), JobFailed, "The evaluation eval-1 does not exist. Evaluator at"),
        ({"id": "eval-1", "status": "cancelled"}, JobFailed, "Somebody stopped it"),
        ({"id": "eval-1", "status": "running"}, JobFailed, "did not end within 0.2 s; last seen: running"),
    ],
)
def test_a_worker_fails_as_the_trigger_does(
    nemo: Any, answer: Any, error: type[Exception], words: str
) -> None:
    nemo.will(EVALUATION, answer)
    # Three looks at what does not exist take their time on a busy machine.
    limit = 0.2 if "0.2 s" in words else 20.0
    sensor = EvaluationSensor(task_id="wait", job="eval-1", timeout_seconds=limit, **FAST)
    with pytest.raises(error) as failure:
        sensor.execute({})
    assert words in str(failure.value)


def _rescheduled(**changes: Any) -> Any:
    """What a poke says in a process of its own, as each is with mode="reschedule"."""
    fields = {"task_id": "wait", "job": "eval-1", "mode": "reschedule"} | FAST | changes
    return EvaluationSensor(**fields).poke({})


def test_between_pokes_in_processes_of_their_own_a_job_may_be_missing_for_a_moment(nemo: Any) -> None:
    running = {"id": "eval-1", "status": "running"}
    gone = (404, {"detail": "not on this replica"})
    nemo.will(EVALUATION, running, gone, running, gone, gone, {"id": "eval-1", "status": "completed"})
    pokes = [_rescheduled() for _ in range(3)]
    assert [bool(poke) for poke in pokes] == [False, False, True]


def test_a_job_that_is_gone_ends_the_wait_at_the_next_poke(nemo: Any) -> None:
    nemo.will(EVALUATION, {"id": "eval-1", "status": "running"}, (404, {"detail": "no such job"}))
    assert not _rescheduled()
    with pytest.raises(JobFailed, match=r"eval-1 does not exist.*no such job.*Submit it anew"):
        _rescheduled()
    assert len(nemo.seen) == 1 + MISSING_POLLS


def test_other_errors_wait_for_the_next_poke(nemo: Any) -> None:
    nemo.will(EVALUATION, (503, {"detail": "starting"}), nemo.drop, {"id": "eval-1", "status": "completed"})
    assert [bool(_rescheduled()) for _ in range(3)] == [False, False, True]


def test_killing_a_worker_that_waits_cancels_the_job(nemo: Any) -> None:
    cancelled = "POST /v1/evaluation/jobs/eval-1/cancel"
    nemo.will(cancelled, {})
    EvaluationSensor(task_id="wait", job="eval-1").on_kill()
    assert nemo.seen == []
    EvaluationSensor(task_id="wait", job="eval-1", deferrable=False).on_kill()
    assert nemo.seen == [cancelled]


@pytest.mark.parametrize(
    ("pauses", "words"),
    [
        ({"poll_seconds": 0}, "poll_seconds is 0"),
        ({"poll_seconds": 20, "max_poll_seconds": 10}, "max_poll_seconds is 10"),
        ({"timeout_seconds": -1}, "timeout_seconds is -1"),
    ],
)
def test_impossible_pauses_are_refused_when_the_dag_is_read(pauses: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        EvaluationSensor(task_id="wait", job="eval-1", **pauses)


def test_the_link_leads_to_the_job(nemo: Any) -> None:
    sensor = EvaluationSensor(task_id="wait", job="eval-1")
    (link,) = sensor.operator_extra_links
    assert isinstance(link, RemoteJobLink)
    key: Any = None
    assert link.get_link(sensor, ti_key=key) == f"{nemo.url}/v1/evaluation/jobs/eval-1"
    sensor.job = ""
    assert link.get_link(sensor, ti_key=key) == ""


def test_an_instance_is_named_by_a_template_unless_the_dag_says_otherwise() -> None:
    named = EvaluationSensor(task_id="a", job="eval-1", instance_name=PULLED)
    assert named.map_index_template == "{{ task.instance_name }}"
    other = EvaluationSensor(task_id="b", job="eval-1", instance_name="x", map_index_template="{{ run_id }}")
    assert other.map_index_template == "{{ run_id }}"
    assert EvaluationSensor(task_id="c", job="eval-1").map_index_template is None

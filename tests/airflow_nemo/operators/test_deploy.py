from __future__ import annotations

import asyncio
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from airflow.triggers.base import TaskSuccessEvent

from include.airflow_nemo.errors import BadParameter, JobFailed
from include.airflow_nemo.links import RemoteJobLink
from include.airflow_nemo.operators.deploy import NemoDeployOperator
from include.airflow_nemo.operators.undeploy import NemoUndeployOperator
from include.nemo.errors import Invalid

MODEL = "meta/llama-3.2-1b-instruct"
FAST: dict[str, Any] = {"poll_seconds": 0.02, "max_poll_seconds": 0.05, "timeout_seconds": 20.0}
WHERE = "/v1/deployment/model-deployments/flywheel"


def _config(model: str = MODEL) -> dict[str, Any]:
    image = {"image_name": f"nvcr.io/nim/{model}", "image_tag": "1.8.3", "gpu": 1, "pvc_size": "25Gi"}
    return {"model": model, "nim_deployment": image}


def _deploy(name: str, **changes: Any) -> NemoDeployOperator:
    return NemoDeployOperator(
        task_id="deploy", **({"deployment": name, "config": _config()} | FAST | changes)
    )


def _undeploy(name: str, **changes: Any) -> NemoUndeployOperator:
    return NemoUndeployOperator(task_id="undeploy", deployment=name, **(FAST | changes))


def _events(deferred: TaskDeferred) -> list[Any]:
    async def events() -> list[Any]:
        trigger: Any = deferred.trigger
        return [event async for event in trigger.run()]

    return asyncio.run(events())


def test_a_worker_deploys_waits_and_undeploys(stand_in: Any, context: Any) -> None:
    returned = _deploy("one", deferrable=False, served_model=MODEL).execute(context)
    assert returned == MODEL
    assert context["ti"].pushed[RemoteJobLink.key] == f"{stand_in.url}{WHERE}/one"
    assert _undeploy("one", deferrable=False).execute(context) == "flywheel/one"
    assert stand_in.http.get(f"{WHERE}/one").status_code == 404
    assert _undeploy("one", deferrable=False).execute(context) == "flywheel/one"


def test_a_trigger_takes_the_wait_over(stand_in: Any, context: Any) -> None:
    stand_in.behave(kind="deployment", model_contains=MODEL, hold=True)
    operator = _deploy("two", project="run-1")
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context)
    assert context["ti"].pushed[RemoteJobLink.key].endswith("/flywheel/two")
    stand_in.behave_well()
    (event,) = _events(deferred.value)
    assert isinstance(event, TaskSuccessEvent)
    assert (event.xcoms or {})["return_value"] == "flywheel/two"
    # What is ready already is not waited for.
    assert _deploy("two").execute(context) == "flywheel/two"
    assert _deploy("two").execute_complete(context, "success") == "flywheel/two"
    assert stand_in.http.get(f"{WHERE}/two").json()["project"] == "run-1"


def test_a_failed_deployment_is_replaced(stand_in: Any, context: Any) -> None:
    stand_in.behave(kind="deployment", model_contains=MODEL, fail="ImagePullBackOff")
    with pytest.raises(JobFailed, match="ImagePullBackOff"):
        _deploy("three", deferrable=False).execute(context)
    stand_in.behave_well()
    assert _deploy("three", deferrable=False).execute(context) == "flywheel/three"


def test_the_deployment_of_another_model_is_left_alone(stand_in: Any, context: Any) -> None:
    _deploy("four", deferrable=False).execute(context)
    operator = _deploy("four", config=_config("meta/llama-3.1-8b-instruct"))
    with pytest.raises(BadParameter, match=f"serves {MODEL}, but `config` asks for meta/llama-3.1"):
        operator.execute(context)
    operator.on_kill()
    assert stand_in.http.get(f"{WHERE}/four").status_code == 200


def test_a_creation_that_was_not_answered_is_found(stand_in: Any, context: Any) -> None:
    stand_in.losing_an_answer()
    returned = _deploy("five", deferrable=False, nemo_conn_id="lossy").execute(context)
    assert returned == "flywheel/five"


def test_a_task_killed_while_it_creates_undeploys(stand_in: Any, context: Any) -> None:
    operator = _deploy("six", deferrable=False, nemo_conn_id="lossy")
    there: list[int] = []

    def kill() -> None:
        there.append(stand_in.http.get(f"{WHERE}/six").status_code)
        operator.on_kill()
        # A killed process tries nothing again.
        stand_in.fault(path_regex="model-deployments", status=400)

    stand_in.losing_an_answer(kill)
    with pytest.raises(Invalid):
        operator.execute(context)
    stand_in.behave_well()
    assert there == [200]
    assert stand_in.http.get(f"{WHERE}/six").status_code == 404
    operator.on_kill()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"deployment": "a/b"}, "`deployment` is 'a/b', with '/'"),
        ({"deployment": "x" * 256}, "`deployment` has 256 characters"),
        ({"deployment": "None"}, "empty template"),
        ({"config": "stored"}, "`config` is 'stored'; give namespace/name"),
        ({"namespace": "no space"}, "`namespace` is 'no space'"),
        ({"project": "ü"}, "`project` is 'ü'"),
    ],
)
def test_a_name_that_the_service_would_refuse_is_named(
    stand_in: Any, context: Any, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadParameter) as refusal:
        _deploy(**({"name": "seven"} | _renamed(changes))).execute(context)
    assert words in str(refusal.value)


def _renamed(changes: dict[str, Any]) -> dict[str, Any]:
    return {("name" if name == "deployment" else name): value for name, value in changes.items()}


def test_a_removal_waits_in_the_triggerer(nemo: Any, context: Any) -> None:
    there = {"name": "d", "namespace": "flywheel", "status_details": {"status": "ready"}}
    nemo.will(f"DELETE {WHERE}/d", {"id": "d"})
    nemo.will(f"GET {WHERE}/d", there, there, (404, {"detail": "gone"}))
    with pytest.raises(TaskDeferred) as deferred:
        _undeploy("d").execute(context)
    (event,) = _events(deferred.value)
    assert isinstance(event, TaskSuccessEvent)
    assert (event.xcoms or {})["return_value"] == "flywheel/d"
    assert _undeploy("d").execute_complete(context, "success") == "flywheel/d"
    nemo.will(f"GET {WHERE}/d", there)
    with pytest.raises(JobFailed, match="last seen: deleting"):
        _undeploy("d", deferrable=False, timeout_seconds=0.2).execute(context)

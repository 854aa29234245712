from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from airflow.triggers.base import TaskSuccessEvent
from hypothesis import given
from hypothesis import strategies as st

from include.airflow_nemo.errors import BadParameter, JobFailed
from include.airflow_nemo.links import RemoteJobLink
from include.airflow_nemo.operators.evaluate import NemoEvaluateOperator
from include.airflow_nemo.operators.jobs import digest_of
from include.nemo.errors import NemoError

MODEL = "meta/llama-3.2-1b-instruct"
TARGET = {"type": "model", "model": MODEL}
FAST: dict[str, Any] = {"poll_seconds": 0.02, "max_poll_seconds": 0.05, "timeout_seconds": 20.0}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
CHILD = """
import json, sys
from include.airflow_nemo.operators.evaluate import NemoEvaluateOperator

class Instance:
    dag_id, task_id, map_index = "d", "work", -1
    def xcom_push(self, key, value): pass

given = json.loads(sys.argv[1])
sys.stdin.readline()  # until the wire is ready to kill
NemoEvaluateOperator(task_id="work", **given).execute({"ti": Instance()})
"""


def _config(dataset: str) -> dict[str, Any]:
    template = {name: f"{{{{ item.request.{name} | tojson }}}}" for name in ("messages", "tools")}
    truth = {"tool_calls_ground_truth": "{{ item.tool_calls | tojson }}"}
    task = {
        "type": "chat-completion",
        "dataset": {"files_url": f"hf://datasets/{dataset}/testing/eval.jsonl"},
        "params": {"template": template},
        "metrics": {"tool-calling-accuracy": {"type": "tool-calling", "params": truth}},
    }
    return {"type": "custom", "tasks": {"tool_calling": task}}


@pytest.fixture(autouse=True)
def deployed(stand_in: Any) -> None:
    """A NIM to evaluate; it stays for the session."""
    image = {"image_name": f"nvcr.io/nim/{MODEL}", "image_tag": "1.8.3", "gpu": 1, "pvc_size": "25Gi"}
    config = {"model": MODEL, "nim_deployment": image}
    body = {"name": "evaluated", "namespace": "flywheel", "config": config}
    stand_in.http.post("/v1/deployment/model-deployments", json=body)
    deadline = time.monotonic() + 30
    while MODEL not in stand_in.http.get("/nim/v1/models").text:
        assert time.monotonic() < deadline, "the NIM is not served"
        time.sleep(0.02)


def _evaluate(dataset: str, project: str, **changes: Any) -> NemoEvaluateOperator:
    kwargs = {"config": _config(dataset), "target": TARGET, "project": project, "deferrable": False}
    return NemoEvaluateOperator(task_id="work", **(kwargs | FAST | changes))


def test_one_job_however_often_the_task_runs(stand_in: Any, dataset: str, context: Any) -> None:
    first = _evaluate(dataset, "run-often", custom_fields={"nim": "small"}).execute(context)
    again = _evaluate(dataset, "run-often", custom_fields={"nim": "small"}).execute(context)
    assert again == first
    (job,) = stand_in.jobs("evaluation", "run-often")
    assert job["status"] == "completed"
    fields = job["custom_fields"]
    assert {name: fields[name] for name in ("nim", "dag_id", "task_id", "map_index", "attempt")} == {
        "nim": "small",
        "dag_id": "d",
        "task_id": "work",
        "map_index": "-1",
        "attempt": "1",
    }
    assert context["ti"].pushed[RemoteJobLink.key] == f"{stand_in.url}/v1/evaluation/jobs/{first}"


def test_another_request_task_or_map_index_is_another_job(stand_in: Any, dataset: str, context: Any) -> None:
    jobs = {_evaluate(dataset, "run-other").execute(context)}
    limited = _config(dataset)
    limited["tasks"]["tool_calling"]["dataset"]["limit"] = 2
    jobs.add(_evaluate(dataset, "run-other", config=limited).execute(context))
    context["ti"].map_index = 1
    jobs.add(_evaluate(dataset, "run-other").execute(context))
    context["ti"].task_id = "other"
    jobs.add(_evaluate(dataset, "run-other").execute(context))
    assert len(jobs) == 4


def test_a_failed_job_is_followed_by_another_attempt(stand_in: Any, dataset: str, context: Any) -> None:
    stand_in.behave(kind="evaluation", model_contains=MODEL, fail="out of memory")
    for _ in range(2):
        with pytest.raises(JobFailed, match="out of memory"):
            _evaluate(dataset, "run-fails").execute(context)
    stand_in.behave_well()
    returned = _evaluate(dataset, "run-fails").execute(context)
    jobs = stand_in.jobs("evaluation", "run-fails")
    assert [job["custom_fields"]["attempt"] for job in jobs] == ["1", "2", "3"]
    assert returned == jobs[-1]["id"]


def test_a_job_whose_creation_was_not_answered_is_found(stand_in: Any, dataset: str, context: Any) -> None:
    stand_in.losing_an_answer()
    returned = _evaluate(dataset, "run-lost", nemo_conn_id="lossy").execute(context)
    assert [job["id"] for job in stand_in.jobs("evaluation", "run-lost")] == [returned]


def test_a_job_that_was_never_made_is_an_error(stand_in: Any, dataset: str, context: Any) -> None:
    stand_in.fault(method="POST", path_regex="/v1/evaluation/jobs$", status=503)
    with pytest.raises(NemoError, match="HTTP 503"):
        _evaluate(dataset, "run-never").execute(context)
    assert stand_in.jobs("evaluation", "run-never") == []


def test_a_process_killed_between_creation_and_answer_leaves_one_job(
    stand_in: Any, dataset: str, context: Any
) -> None:
    kwargs = {"config": _config(dataset), "target": TARGET, "project": "run-killed", "deferrable": False}
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, json.dumps(kwargs | FAST | {"nemo_conn_id": "lossy"})],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
    stand_in.losing_an_answer(child.kill)
    child.communicate("go\n", timeout=60)
    assert child.returncode == -9
    (made,) = stand_in.jobs("evaluation", "run-killed")
    assert _evaluate(dataset, "run-killed").execute(context) == made["id"]
    assert len(stand_in.jobs("evaluation", "run-killed")) == 1


def test_a_task_killed_before_it_knows_its_job_cancels_it(stand_in: Any, dataset: str, context: Any) -> None:
    stand_in.behave(kind="evaluation", model_contains=MODEL, hold=True)
    operator = _evaluate(dataset, "run-unseen", nemo_conn_id="lossy")

    def kill() -> None:
        operator.on_kill()
        stand_in.fault(path_regex="/v1/evaluation", status=400)

    stand_in.losing_an_answer(kill)
    with pytest.raises(NemoError):
        operator.execute(context)
    stand_in.behave_well()
    (job,) = stand_in.jobs("evaluation", "run-unseen")
    assert job["status"] in ("cancelling", "cancelled")


def test_a_killed_task_cancels_its_job(stand_in: Any, dataset: str, context: Any) -> None:
    stand_in.behave(kind="evaluation", model_contains=MODEL, hold=True)
    operator = _evaluate(dataset, "run-cancel", deferrable=True)
    operator.on_kill()
    with pytest.raises(TaskDeferred):
        operator.execute(context)
    operator.on_kill()
    (job,) = stand_in.jobs("evaluation", "run-cancel")
    assert job["status"] in ("cancelling", "cancelled")


def test_a_trigger_takes_the_wait_over(stand_in: Any, dataset: str, context: Any) -> None:
    stand_in.behave(kind="evaluation", model_contains=MODEL, hold=True)
    with pytest.raises(TaskDeferred) as deferred:
        _evaluate(dataset, "run-deferred", deferrable=True).execute(context)
    stand_in.behave_well()

    async def events() -> list[Any]:
        trigger: Any = deferred.value.trigger
        return [event async for event in trigger.run()]

    (event,) = asyncio.run(events())
    assert isinstance(event, TaskSuccessEvent)
    (job,) = stand_in.jobs("evaluation", "run-deferred")
    assert (event.xcoms or {})["return_value"] == job["id"]
    # Another process, as `dag.test` does it: it knows the task, not the job.
    assert _evaluate(dataset, "run-deferred").execute_complete(context, "success") == job["id"]
    with pytest.raises(JobFailed, match="Clear the task"):
        _evaluate(dataset, "run-elsewhere").execute_complete(context, "success")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target": "stored"}, "`target` is 'stored'; give namespace/name"),
        ({"config": "a/b/c"}, "`config (its name)` is 'b/c', with '/'"),
        ({"project": "run 1"}, "`project` is 'run 1'"),
        ({"custom_fields": {"attempt": "1"}}, "`custom_fields` has 'attempt'"),
    ],
)
def test_a_parameter_that_the_service_would_refuse_is_named(
    dataset: str, context: Any, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadParameter) as refusal:
        _evaluate(dataset, **({"project": "run-bad"} | changes)).execute(context)
    assert words in str(refusal.value)


@given(st.dictionaries(st.text(max_size=5), JSON, max_size=5))
def test_a_digest_does_not_depend_on_the_order_of_keys(request_body: dict[str, Any]) -> None:
    turned = dict(reversed(request_body.items()))
    assert digest_of(turned) == digest_of(request_body)
    assert digest_of({**request_body, "one more": 1}) != digest_of(request_body)

"""A stage as a task: submitted once, looked at before it is waited for, not tried again by itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred
from airflow.sdk.execution_time.context import set_current_context

from include.flywheel.config.conf import resolve
from include.flywheel.evaluation.specs import Stage
from include.flywheel.runs import ids
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import StageName, StageStatus
from include.pipeline.operators import EvaluateStage

JOB = ids.job_id("flywheel_x", "r")
NIM = {"name": "meta/llama-3.2-1b-instruct", "slug": "one"}
CONTEXT: Any = {
    "dag_run": SimpleNamespace(dag_id="flywheel_x", run_id="r", clear_number=0),
    "ti": SimpleNamespace(try_number=1, max_tries=3),
}


class Evaluator:
    """An evaluator with jobs; `state` is what it says of each."""

    def __init__(self) -> None:
        self.state, self.jobs = "running", []
        evaluator = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = json.dumps(evaluator.answer(self.command, self.path)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = _serve  # noqa: N815 - what the server calls

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}).start()

    def answer(self, method: str, path: str) -> dict[str, Any]:
        if method == "POST":
            self.jobs.append(f"eval-{len(self.jobs) + 1}")
            return {"id": self.jobs[-1], "status": "created"}
        if path.partition("?")[0].endswith("/jobs"):
            return {"data": [{"id": job, "status": self.state} for job in self.jobs]}
        return {"id": self.jobs[-1], "status": self.state}


@pytest.fixture
def evaluator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Evaluator]:
    fake = Evaluator()
    url = f"http://127.0.0.1:{fake.server.server_address[1]}"
    extra = {"data_store_url": url, "nim_proxy_url": f"{url}/nim", "namespace": "flywheel"}
    monkeypatch.setenv("AIRFLOW_CONN_NEMO", json.dumps({"conn_type": "nemo", "host": url, "extra": extra}))
    yield fake
    fake.server.shutdown()
    fake.server.server_close()


@pytest.fixture
def opened(open_run: Callable[..., RunRepository]) -> RunRepository:
    config = resolve({"client_id": "c", "workload_id": "w"}, None)
    return open_run({NIM["slug"]: NIM["name"]}, resolved=config.model_dump(mode="json"))


def run_task() -> Any:
    task = EvaluateStage(task_id="base_eval", nim=NIM, which=Stage.BASE)
    with set_current_context(CONTEXT):
        # Without the guard that wants a task runner around it.
        return type(task).execute.__wrapped__(task, CONTEXT)


def test_what_runs_is_waited_for_in_the_triggerer(opened: RunRepository, evaluator: Evaluator) -> None:
    with pytest.raises(TaskDeferred) as deferred:
        run_task()
    path, arguments = deferred.value.trigger.serialize()
    assert path == "include.pipeline.stage_trigger.StageTrigger"
    assert (arguments["job"], arguments["extra"]["stage"]) == ("eval-1", "base_eval")
    assert opened.stage(JOB, "one", StageName.BASE_EVAL).remote_id == "eval-1"


def test_what_ended_on_the_way_is_not_waited_for(opened: RunRepository, evaluator: Evaluator) -> None:
    evaluator.state = "completed"
    assert run_task() == "eval-1"
    assert opened.stage(JOB, "one", StageName.BASE_EVAL).status is StageStatus.COMPLETED


def test_a_try_after_a_killed_one_waits_for_the_same_job(opened: RunRepository, evaluator: Evaluator) -> None:
    for _ in range(2):
        with pytest.raises(TaskDeferred):
            run_task()
    assert evaluator.jobs == ["eval-1"]


def test_what_failed_is_not_started_anew_before_somebody_asks(
    opened: RunRepository, evaluator: Evaluator
) -> None:
    evaluator.state = "failed"
    with pytest.raises(TaskDeferred):
        run_task()
    for _ in range(2):
        with pytest.raises(AirflowFailException, match="retry the NIM"):
            run_task()
    assert evaluator.jobs == ["eval-1"]
    assert opened.begin_nim_pass(JOB, "one", 1)
    with pytest.raises(TaskDeferred):
        run_task()
    assert evaluator.jobs == ["eval-1", "eval-2"]

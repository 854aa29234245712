"""Who is told of a run's end: the application, then the workload's notifiers, each once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from include.flywheel.report.signature import verify
from include.flywheel.runs import ids
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import RunStatus
from include.pipeline.notify import tell, tell_the_rest
from include.pipeline.run import Run

JOB = ids.job_id("flywheel_x", "r")
SECRET = "s3cret"


class Receiver:
    """Webhooks by path, each of which answers with its status; a connection leads to each."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, str]] = []
        self.status: dict[str, int] = {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                verify(dict(self.headers), body, SECRET, time.time())
                name, said = self.path.lstrip("/"), json.loads(body)
                receiver.heard.append((name, said["event"], said["event_id"]))
                self.send_response(receiver.status.get(name, 200))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def connection(self, name: str) -> str:
        url = f"http://127.0.0.1:{self.server.server_port}/{name}"
        return json.dumps({"conn_type": "generic", "password": SECRET, "extra": {"url": url}})


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    made = Receiver()
    for name in ("application", "team", "leads"):
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", made.connection(name))
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def run(open_run: Callable[..., RunRepository], resolved: dict[str, Any]) -> Run:
    """A run that failed; its workload has the notifiers `team` and `leads`."""
    resolved["workload"]["notifiers"] = ["team", "leads"]
    runs = open_run({}, resolved=resolved)
    runs.set_status(JOB, RunStatus.FAILED, error="no records", finished_at="2026-11-22T00:00:00+00:00")
    return Run(JOB, "flywheel_x", "r", runs)


def names(receiver: Receiver) -> list[str]:
    return [name for name, _, _ in receiver.heard]


def test_everybody_is_told_the_same_once(receiver: Receiver, run: Run) -> None:
    tell(run, run.runs.get(JOB))
    assert names(receiver) == ["application", "team", "leads"]
    assert len({said[1:] for said in receiver.heard}) == 1
    document = run.runs.get(JOB)
    assert [one["delivered"] for one in document.deliveries] == [True] * 3
    assert SECRET not in document.model_dump_json()
    tell(run, document)
    tell_the_rest(run, document)
    assert len(receiver.heard) == 3


def test_who_refuses_hinders_nobody_and_is_asked_again(receiver: Receiver, run: Run) -> None:
    receiver.status["team"] = 400
    tell(run, run.runs.get(JOB))
    document = run.runs.get(JOB)
    assert [document.notifiers[name]["delivered"] for name in ("team", "leads")] == [False, True]
    assert "notifier 'team' was not told" in document.events[-1]
    # The run's last task leaves it at that; another try of the task that tells does not.
    tell_the_rest(run, document)
    assert names(receiver).count("team") == 1
    receiver.status.clear()
    tell(run, document)
    assert names(receiver).count("team") == 2
    assert run.runs.get(JOB).notifiers["team"]["delivered"]


def test_a_task_that_was_killed_between_two_goes_on_with_the_next(receiver: Receiver, run: Run) -> None:
    run.runs.update(JOB, notification={"delivered": True}, notifiers={"team": {"delivered": True}})
    tell_the_rest(run, run.runs.get(JOB))
    assert names(receiver) == ["leads"]


def test_a_run_of_another_version_that_told_everybody_is_left_alone(receiver: Receiver, run: Run) -> None:
    older = run.runs.get(JOB).model_copy(
        update={"resolved": {"unknown": 1}, "notification": {"delivered": True}}
    )
    tell_the_rest(run, older)
    assert receiver.heard == []


def test_a_connection_that_is_missing_is_said(
    receiver: Receiver, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_TEAM")
    tell(run, run.runs.get(JOB))
    assert names(receiver) == ["application", "leads"]
    assert run.runs.get(JOB).notifiers["team"]["error"] == "connection 'team' is not configured"


def test_a_retried_run_tells_its_new_end(receiver: Receiver, run: Run) -> None:
    tell(run, run.runs.get(JOB))
    assert run.runs.begin_pass(JOB, 1)
    document = run.runs.get(JOB)
    assert (document.notification, document.notifiers) == (None, {})

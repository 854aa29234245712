from __future__ import annotations

import asyncio
import sys
import time
from http.server import ThreadingHTTPServer
from typing import Any

import pytest
from airflow.triggers.base import TaskFailedEvent, TaskSuccessEvent, TriggerEvent

from include.airflow_nemo.triggers import NemoJobTrigger
from include.nemo import JobProgress

EVALUATION = "GET /v1/evaluation/jobs/eval-1"
CUSTOMIZATION = "GET /v1/customization/jobs/cust-1"
DEPLOYMENT = "GET /v1/deployment/model-deployments/ns/d"
FAST: dict[str, Any] = {"poll_seconds": 0.01, "max_poll_seconds": 0.02, "timeout_seconds": 10.0}


class Lines(list[str]):
    """The task's log, as lines."""

    def _add(self, message: str, *arguments: Any) -> None:
        self.append(message % arguments)

    info = warning = error = _add

    def exception(self, message: str, *arguments: Any) -> None:
        self._add(f"{message}: {sys.exc_info()[1]}", *arguments)

    @property
    def text(self) -> str:
        return "\n".join(self)


class Following(NemoJobTrigger):
    """Remembers what it was told and what it said."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.told: list[JobProgress] = []
        self.lines = Lines()

    @property
    def log(self) -> Any:
        return self.lines

    async def on_progress(self, progress: JobProgress) -> None:
        self.told.append(progress)
        if self.extra.get("breaks"):
            raise RuntimeError("the database is down")


def _follow(kind: str = "evaluation", job: str = "eval-1", **changes: Any) -> tuple[TriggerEvent, Following]:
    trigger = Following(**({"kind": kind, "job": job} | FAST | changes))

    async def events() -> list[TriggerEvent]:
        return [event async for event in trigger.run()]

    (event,) = asyncio.run(events())
    return event, trigger


def _evaluation(state: str | None, **details: Any) -> dict[str, Any]:
    return {"id": "eval-1", "status": state, "status_details": details}


def _customization(state: str, **details: Any) -> dict[str, Any]:
    status = {"status": state, **details}
    return {"id": "cust-1", "status": state, "output_model": "ns/m@cust-1", "status_details": status}


def _deployment(state: str, description: str | None = None) -> dict[str, Any]:
    details = {"status": state, "description": description}
    return {"name": "d", "namespace": "ns", "status_details": details}


def _error(event: TriggerEvent) -> str:
    assert isinstance(event, TaskFailedEvent)
    return str((event.xcoms or {})["error"])


def test_an_evaluation_that_completes_ends_the_task(nemo: Any) -> None:
    nemo.will(
        EVALUATION,
        _evaluation("created"),
        _evaluation("running", progress=50),
        _evaluation("running", progress=50),
        _evaluation("completed", progress=100),
    )
    event, trigger = _follow()
    assert isinstance(event, TaskSuccessEvent)
    assert event.xcoms == {
        "return_value": "eval-1",
        "state": "completed",
        "_link_RemoteJobLink": f"{nemo.url}/v1/evaluation/jobs/eval-1",
    }
    assert [(seen.state, seen.percentage) for seen in trigger.told] == [
        ("created", None),
        ("running", 50),
        ("completed", 100),
    ]


def test_a_customization_returns_its_output_model(nemo: Any) -> None:
    nemo.will(CUSTOMIZATION, _customization("running"), _customization("completed", percentage_done=100))
    event, trigger = _follow("customization", "cust-1")
    assert isinstance(event, TaskSuccessEvent)
    assert (event.xcoms or {})["return_value"] == "ns/m@cust-1"
    assert trigger.told[-1].output == "ns/m@cust-1"


def test_a_deployment_is_ready_only_when_the_proxy_lists_its_model(nemo: Any) -> None:
    nemo.will(DEPLOYMENT, _deployment("pending"), _deployment("ready"))
    nemo.will(
        "GET /nim/v1/models",
        {"data": []},
        (503, {"detail": "loading"}),
        {"data": [{"id": "other"}, {"id": "meta/m"}]},
    )
    event, trigger = _follow("deployment", "ns/d", served_model="meta/m")
    assert isinstance(event, TaskSuccessEvent)
    assert (event.xcoms or {})["return_value"] == "meta/m"
    assert [seen.state for seen in trigger.told] == ["pending", "running", "ready"]
    assert trigger.told[1].reason == "ready, but the NIM proxy does not list meta/m yet"


@pytest.mark.parametrize("served_model", [None, "", "None"])
def test_without_a_model_to_list_ready_is_enough(nemo: Any, served_model: str | None) -> None:
    nemo.will(DEPLOYMENT, _deployment("ready"))
    event, _ = _follow("deployment", "ns/d", served_model=served_model)
    assert isinstance(event, TaskSuccessEvent)
    assert (event.xcoms or {})["return_value"] == "ns/d"
    assert nemo.seen == [DEPLOYMENT]


def test_a_flapping_server_is_survived(nemo: Any) -> None:
    nemo.will(
        EVALUATION,
        nemo.drop,
        _evaluation("running"),
        (500, {"detail": "oops"}),
        (503, "<html>starting</html>"),
        (429, {"detail": "slow down"}),
        "<html>a proxy's page</html>",
        nemo.cut,
        '{"id": "eval-1", "sta',
        {"id": "eval-1", "status": {"phase": "running"}},
        (404, {"detail": "not on this replica"}),
        (404, {"detail": "not on this replica"}),
        _evaluation("hibernating"),
        _evaluation(None),
        _evaluation("completed"),
    )
    event, trigger = _follow()
    assert isinstance(event, TaskSuccessEvent)
    assert [seen.state for seen in trigger.told] == ["running", "hibernating", "unknown", "completed"]
    assert "Unknown state 'hibernating'" in trigger.lines.text


def test_a_failed_poll_is_followed_by_the_next_poll_and_no_other_try(nemo: Any) -> None:
    nemo.will(EVALUATION, (500, {"detail": "oops"}), _evaluation("completed"))
    _, trigger = _follow()
    assert len(nemo.seen) == 2
    assert "Poll failed, trying again" in trigger.lines.text


def test_a_server_that_comes_late_is_waited_for(nemo: Any, monkeypatch: Any) -> None:
    nemo.will(EVALUATION, _evaluation("completed"))
    port = nemo.server.server_port
    nemo.close()

    async def late() -> TriggerEvent:
        async def start() -> None:
            await asyncio.sleep(0.2)
            again = ThreadingHTTPServer(("127.0.0.1", port), nemo.server.RequestHandlerClass)
            for name in ("script", "seen", "tokens", "headers"):
                setattr(again, name, getattr(nemo.server, name))
            nemo.server = again
            asyncio.get_running_loop().run_in_executor(None, again.serve_forever, 0.01)

        starting = asyncio.create_task(start())
        trigger = NemoJobTrigger(kind="evaluation", job="eval-1", **FAST)
        events = [event async for event in trigger.run()]
        await starting
        nemo.server.shutdown()
        return events[0]

    assert isinstance(asyncio.run(late()), TaskSuccessEvent)


def test_retry_after_is_kept_to(nemo: Any) -> None:
    nemo.server.headers = {"Retry-After-Ms": "300"}
    nemo.will(EVALUATION, (429, {"detail": "slow down"}), _evaluation("completed"))
    started = time.monotonic()
    event, _ = _follow()
    assert isinstance(event, TaskSuccessEvent)
    assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize(
    ("kind", "job", "asked", "answer", "words"),
    [
        ("evaluation", "eval-1", EVALUATION, _evaluation("failed", message="no such model"), "no such model"),
        (
            "customization",
            "cust-1",
            CUSTOMIZATION,
            _customization("failed", status_logs=[{"message": "failed", "detail": "loss is NaN"}]),
            "loss is NaN",
        ),
        (
            "customization",
            "cust-1",
            CUSTOMIZATION,
            _customization("failed", status_logs=[{"detail": "NotEnoughResources"}]),
            "undeploy NIMs",
        ),
        ("deployment", "ns/d", DEPLOYMENT, _deployment("failed", "ImagePullBackOff"), "image name"),
        ("evaluation", "eval-1", EVALUATION, _evaluation("cancelled"), "Somebody stopped it"),
        ("evaluation", "eval-1", EVALUATION, (404, {"detail": "no such job"}), "no such job"),
        ("evaluation", "eval-1", EVALUATION, (401, {"detail": "who?"}), "password of the `nemo`"),
        ("deployment", "d", DEPLOYMENT, {}, "namespace/name"),
        ("evaluation", "None", EVALUATION, {}, "log of the submit task"),
        ("audit", "a", EVALUATION, {}, "deployment, evaluation, customization"),
    ],
)
def test_a_failure_says_why_and_what_to_do(
    nemo: Any,
    kind: str,
    job: str,
    asked: str,
    answer: Any,
    words: str,
) -> None:
    nemo.will(asked, answer)
    event, trigger = _follow(kind, job)
    assert words in _error(event)
    assert words in trigger.lines.text


def test_not_found_is_believed_at_the_third_time(nemo: Any) -> None:
    nemo.will(EVALUATION, (404, {"detail": "no such job"}))
    _follow()
    assert len(nemo.seen) == 3


def test_the_deadline_ends_the_task_with_what_was_seen_last(nemo: Any) -> None:
    nemo.will(EVALUATION, _evaluation("pending", message="NotEnoughResources"), (503, {"detail": "starting"}))
    event, _ = _follow(timeout_seconds=0.5)
    words = _error(event)
    assert "did not end within 0.5 s" in words
    assert "pending (NotEnoughResources)" in words
    assert "starting" in words
    assert "timeout_seconds" in words


def test_work_that_ends_with_the_deadline_is_a_success(nemo: Any) -> None:
    nemo.will(EVALUATION, _evaluation("running"), _evaluation("completed"))
    event, _ = _follow(poll_seconds=30.0, max_poll_seconds=30.0, timeout_seconds=0.5)
    assert isinstance(event, TaskSuccessEvent)


def test_a_restart_does_not_move_the_deadline(nemo: Any) -> None:
    nemo.will(EVALUATION, _evaluation("running"))
    event, _ = _follow(deadline_at=time.time() - 1, timeout_seconds=3600.0)
    assert "did not end within 3600 s" in _error(event)


def test_waiting_for_a_gpu_is_said(nemo: Any) -> None:
    pending = _customization("pending", status_logs=[{"detail": "NotEnoughResources: 0/1 GPUs"}])
    nemo.will(CUSTOMIZATION, pending, _customization("completed"))
    _, trigger = _follow("customization", "cust-1")
    assert "It waits for resources. No GPU is free" in trigger.lines.text


def test_progress_that_cannot_be_recorded_does_not_end_the_wait(nemo: Any) -> None:
    nemo.will(EVALUATION, _evaluation("running"), _evaluation("completed"))
    event, trigger = _follow(extra={"breaks": True})
    assert isinstance(event, TaskSuccessEvent)
    assert "the database is down" in trigger.lines.text


def test_a_pause_of_zero_is_refused(nemo: Any) -> None:
    event, _ = _follow(poll_seconds=0)
    assert "poll_seconds" in _error(event)
    assert nemo.seen == []


def test_a_missing_connection_fails_the_task_with_the_remedy() -> None:
    event, _ = _follow(nemo_conn_id="elsewhere")
    assert "AIRFLOW_CONN_ELSEWHERE" in _error(event)

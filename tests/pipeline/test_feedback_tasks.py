"""The weekly tasks on a live database, and the application that they tell."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from airflow.sdk.execution_time.context import set_current_context

from include.flywheel.errors import DeliveryError
from include.flywheel.report.signature import verify
from include.pipeline import feedback_tasks
from include.pipeline.feedback_export import feedback_dag
from include.stores.feedback import FeedbackPlace, connect

DUE = datetime(2026, 11, 22, 2, tzinfo=UTC)
SECRET = "s3cret"
INSERT = """
INSERT INTO feedback (query, response, model, rating, user_id, "timestamp")
SELECT 'how do I change flight ' || i, 'Open your booking and choose ' || i, %(model)s,
       CASE WHEN i <= %(positive)s THEN 1 ELSE -1 END, 'u', %(at)s FROM generate_series(1, %(total)s) i
"""


@pytest.fixture
def place(feedback_place: FeedbackPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FeedbackPlace:
    for name, value in {
        "POSTGRES_HOST": feedback_place.host,
        "POSTGRES_PORT": str(feedback_place.port),
        "POSTGRES_DB": feedback_place.database,
        "POSTGRES_USER": feedback_place.user,
        "POSTGRES_PASSWORD": feedback_place.password,
        "FLYWHEEL_EXPORT_ROOT": str(tmp_path / "root"),
    }.items():
        monkeypatch.setenv(name, value)
    return feedback_place


@pytest.fixture
def rate(place: FeedbackPlace) -> Callable[..., None]:
    def rated(model: str, positive: int, total: int, *, days_ago: float) -> None:
        values = {"model": model, "positive": positive, "total": total, "at": DUE - timedelta(days=days_ago)}
        with closing(connect(place)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(INSERT, values)

    return rated


@contextmanager
def running(run_id: str = "scheduled__1", run_type: str = "scheduled", **params: Any) -> Iterator[None]:
    """A task of the DAG's run, with the DAG's own params."""
    said = dict(feedback_dag().params) | params
    run = SimpleNamespace(dag_id="feedback_export", run_id=run_id, run_type=run_type, run_after=DUE)
    with set_current_context({"params": said, "dag_run": run}):  # type: ignore[typeddict-item]
        yield


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """An application that keeps what it is told, and answers `status`."""
    received = SimpleNamespace(events=[], keys=[], status=200)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            verify(dict(self.headers), body, SECRET, time.time())
            received.events.append(json.loads(body))
            received.keys.append(self.headers["Idempotency-Key"])
            self.send_response(received.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/events"
    monkeypatch.setenv(
        "AIRFLOW_CONN_APPLICATION",
        json.dumps({"conn_type": "generic", "password": SECRET, "extra": {"url": url}}),
    )
    yield received
    server.shutdown()
    server.server_close()


def test_without_a_database_the_run_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSTGRES_HOST", raising=False)
    with running(), pytest.raises(AirflowSkipException, match="flywheel_feedback"):
        feedback_tasks.migrate_tables()


def test_the_first_task_makes_the_tables(
    feedback_server: Any, place: FeedbackPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with feedback_server.database(empty=True) as empty:
        monkeypatch.setenv("POSTGRES_DB", empty.database)
        with running():
            assert feedback_tasks.migrate_tables()
            assert feedback_tasks.migrate_tables() == []
            feedback_tasks.refresh_view()


def test_the_same_run_writes_the_same_files(
    rate: Callable[..., None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rate("m", 40, 50, days_ago=1)
    rate("m", 5, 5, days_ago=8)
    with running(), caplog.at_level(logging.INFO, "include.pipeline"):
        first = feedback_tasks.export()
        second = feedback_tasks.export()
    assert first == second
    assert first["output_path"] == "weekly/2026-11-22.jsonl"
    assert first["rows_read"] == 50
    assert sorted(path.name for path in (tmp_path / "root" / "weekly").iterdir()) == [
        "2026-11-22.dpo.jsonl",
        "2026-11-22.jsonl",
        "2026-11-22.kto.jsonl",
        "2026-11-22.manifest.json",
        "2026-11-22.nemo.jsonl",
    ]
    assert any(line.split() == ["rows", "read", "50", *line.split()[3:]] for line in caplog.messages)


def test_manual_runs_have_names_of_their_own_and_take_the_params(rate: Callable[..., None]) -> None:
    rate("a", 40, 50, days_ago=9)
    rate("b", 1, 2, days_ago=9)
    params = {
        "start_date": "2026-11-10T00:00:00Z",
        "end_date": "2026-11-15T00:00:00",
        "model": "a",
        "thumbs_up_weight": 3.0,
        "format": "jsonl",
        "uncorrected_negatives": "exclude",
    }
    with running("manual__1", "manual", **params):
        first = feedback_tasks.export()
    with running("manual__2", "manual", **params):
        second = feedback_tasks.export()
    assert first["output_path"].startswith("manual/2026-11-22-")
    assert first["output_path"] != second["output_path"]
    assert (first["positive_samples"], first["negative_samples"], first["total_weight"]) == (40, 0, 120)
    with running("manual__3", "manual", output_path="mine", days=30):
        assert feedback_tasks.export()["output_path"] == "mine.jsonl"


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"output_path": "../out"}, "export root"),
        ({"start_date": "2026-12-01T00:00:00Z"}, "not before"),
        ({"end_date": "yesterday"}, "no time"),
    ],
)
def test_what_a_person_must_correct_is_not_tried_again(
    place: FeedbackPlace, params: dict[str, Any], said: str
) -> None:
    with running(**params), pytest.raises(AirflowFailException, match=said):
        feedback_tasks.export()


def test_a_fall_is_told_once_and_stands_in_the_log(
    rate: Callable[..., None], application: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    rate("fallen", 270, 300, days_ago=8)
    rate("fallen", 210, 300, days_ago=1)
    rate("steady", 270, 300, days_ago=8)
    rate("steady", 268, 300, days_ago=1)
    with running(), caplog.at_level(logging.INFO, "include.pipeline"):
        assert feedback_tasks.alert() == ["fallen"]
        assert feedback_tasks.alert() == ["fallen"]
    [event, again] = application.events
    assert application.keys == [event["event_id"]] * 2 == [again["event_id"]] * 2
    assert (event["event"], event["schema_version"]) == ("feedback.alert", 1)
    [model] = event["models"]
    assert (model["model"], model["before_share"], model["after_share"]) == ("fallen", 0.9, 0.7)
    assert "alert: fallen" in caplog.messages
    assert any(line.startswith("fallen: FELL, 90.0 % → 70.0 %") for line in caplog.messages)
    assert any(line.startswith("steady: no fall") for line in caplog.messages)


def test_no_fall_is_said_too(
    rate: Callable[..., None], application: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    rate("steady", 270, 300, days_ago=8)
    rate("steady", 268, 300, days_ago=1)
    with running(), caplog.at_level(logging.INFO, "include.pipeline"):
        assert feedback_tasks.alert() == []
    assert application.events == []
    assert "no alert: 1 models, none of them fell" in caplog.messages


def test_an_alert_that_nobody_takes_fails_the_task(
    rate: Callable[..., None], application: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    rate("fallen", 270, 300, days_ago=8)
    rate("fallen", 210, 300, days_ago=1)
    application.status = 400
    with running(), pytest.raises(DeliveryError, match="was not accepted"):
        feedback_tasks.alert()
    monkeypatch.delenv("AIRFLOW_CONN_APPLICATION")
    with running(), pytest.raises(AirflowFailException, match="nobody can be told"):
        feedback_tasks.alert()

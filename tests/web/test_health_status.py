"""When the wheel can turn and when it cannot: Airflow, NeMo and the connections, each gone once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from unittest.mock import ANY
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from pymongo.database import Database

from include.flywheel.config.workload import DIRECTORY_VARIABLE
from include.stores.feedback import migrate
from include.stores.health import Checked, check_feedback
from include.web.app import application
from include.web.dispatch import MOUNT, Dispatch

COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")
Ask = Callable[..., Any]
SOON = {"serverSelectionTimeoutMS": 200}


class Nemo(BaseHTTPRequestHandler):
    """Answers what every probe asks."""

    def do_GET(self) -> None:
        body = b'{"data": [], "models": [], "simulated": true}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def nemo_url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Nemo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, dict[str, Any]], None]:
    def connect(conn_id: str, fields: dict[str, Any]) -> None:
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(fields))

    return connect


@pytest.fixture
def everything(
    connect: Callable[[str, dict[str, Any]], None],
    nemo_url: str,
    mongo_uri: str,
    mongo_database: Database[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every connection, and an installation without workloads of its own."""
    workloads = tmp_path / "workloads"
    workloads.mkdir()
    monkeypatch.setenv(DIRECTORY_VARIABLE, str(workloads))
    mongo = urlsplit(mongo_uri)
    where = {"host": mongo.hostname, "port": mongo.port, "schema": mongo_database.name}
    connect("flywheel_runs", {"conn_type": "mongo", **where})
    connect("flywheel_logs", {"conn_type": "fs", "extra": {"path": str(tmp_path)}})
    urls = {"data_store_url": nemo_url, "nim_proxy_url": f"{nemo_url}/nim", "namespace": "default"}
    connect("nemo", {"conn_type": "nemo", "host": nemo_url, "extra": urls})
    application_url = {"url": "http://application.example/events"}
    connect("application", {"conn_type": "generic", "password": "p", "extra": application_url})


@pytest.fixture
def ask(everything: None) -> Ask:
    """Asks an application of ours that is mounted in an Airflow whose `sick` components are away."""

    async def ask(*sick: str) -> httpx.Response:
        airflow = FastAPI()

        @airflow.get("/api/v2/monitor/health")
        def health() -> dict[str, Any]:
            beat = {"latest_beat": "2026-03-02T09:30:00Z"}
            return {one: {"status": "unhealthy" if one in sick else "healthy", **beat} for one in COMPONENTS}

        airflow.mount(MOUNT, application())
        airflow.add_middleware(Dispatch)
        transport = httpx.ASGITransport(app=airflow)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.get("/api/health")

    return ask


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["status"]


async def test_with_everything_there_it_turns(ask: Ask) -> None:
    assert told(await ask()) == (200, "ok")


@pytest.mark.parametrize("component", COMPONENTS)
async def test_without_a_component_of_airflow_it_does_not(ask: Ask, component: str) -> None:
    assert told(await ask(component)) == (503, "down")


@pytest.mark.parametrize(
    ("conn_id", "fields"),
    [
        ("flywheel_runs", {"conn_type": "mongo", "host": "127.0.0.1", "port": 9, "extra": SOON}),
        ("flywheel_logs", {"conn_type": "fs", "extra": {"path": "/no/such/folder"}}),
        ("flywheel_logs", {"conn_type": "http"}),
        ("nemo", {"conn_type": "nemo", "host": "http://127.0.0.1:9"}),
    ],
)
async def test_without_one_of_its_stores_or_nemo_it_does_not(
    ask: Ask, connect: Callable[[str, dict[str, Any]], None], conn_id: str, fields: dict[str, Any]
) -> None:
    connect(conn_id, fields)
    assert told(await ask()) == (503, "down")


async def test_without_an_application_to_tell_it_turns_and_says_so(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_APPLICATION")
    assert told(await ask()) == (200, "degraded")


async def test_without_the_feedback_database_it_turns_and_says_so(
    ask: Ask, connect: Callable[[str, dict[str, Any]], None]
) -> None:
    connect("flywheel_feedback", {"conn_type": "postgres", "host": "127.0.0.1", "port": 9, "login": "who"})
    assert told(await ask()) == (200, "degraded")


def test_what_is_said_of_the_feedback_database_names_nobody(
    feedback_server: Any, connect: Callable[[str, dict[str, Any]], None]
) -> None:
    assert check_feedback().ok, "nobody needs it"
    with feedback_server.database(empty=True) as place:
        where = {"host": place.host, "port": place.port, "login": place.user, "password": place.password}
        fields = {"conn_type": "postgres", **where, "schema": place.database}
        connect("flywheel_feedback", fields)
        assert "migrate" in check_feedback().detail
        migrate(place)
        assert check_feedback() == Checked("feedback", True, "answers", ANY)
        connect("flywheel_feedback", fields | {"login": "somebody"})
        refused = check_feedback()
    assert not refused.ok
    assert "somebody" not in refused.detail


async def test_a_notifier_that_is_missing_is_said(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "workloads" / "desk.yaml").write_text(
        "client_id: acme\nworkload_id: desk\nnotifiers: [team]\n"
    )
    assert told(await ask()) == (200, "degraded")


async def test_a_store_of_one_workload_alone_does_not_stop_the_others(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    described = "client_id: acme\nworkload_id: desk\nlogs_conn_id: of_acme\n"
    (tmp_path / "workloads" / "desk.yaml").write_text(described)
    assert told(await ask()) == (200, "degraded")

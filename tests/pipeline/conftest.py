"""The stores of the pipeline, behind their connections, in a database of the test's own."""

from __future__ import annotations

import importlib.util
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo.database import Database

from include.flywheel.config.conf import resolve
from include.flywheel.runs import ids
from include.flywheel.runs.documents import NimDocument, RunDocument, now
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import RunStatus
from include.stores import leases as stores_leases
from include.stores import runs as stores_runs


@pytest.fixture
def runs(
    mongo_uri: str, mongo_database: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[RunRepository]:
    """The repository that tasks and triggers open."""
    place = urlsplit(mongo_uri)
    connection = {
        "conn_type": "mongo",
        "host": place.hostname,
        "port": place.port,
        "schema": mongo_database.name,
    }
    monkeypatch.setenv("AIRFLOW_CONN_FLYWHEEL_RUNS", json.dumps(connection))
    stores_runs._open.cache_clear()
    stores_leases._open.cache_clear()
    yield RunRepository(mongo_database)
    stores_runs._open.cache_clear()
    stores_leases._open.cache_clear()


@pytest.fixture
def open_run(runs: RunRepository) -> Callable[..., RunRepository]:
    """Opens the run `r` of `flywheel_x` with NIMs of these names by slug."""

    def opened(nims: dict[str, str], **fields: Any) -> RunRepository:
        job_id = ids.job_id("flywheel_x", "r")
        names = {"dag_id": "flywheel_x", "run_id": "r", "client_id": "c", "workload_id": "w"}
        runs.open(RunDocument(job_id=job_id, **names, status=RunStatus.RUNNING, created_at=now(), **fields))
        runs.open_nims(
            NimDocument(job_id=job_id, nim=name, slug=slug, order=order)
            for order, (slug, name) in enumerate(nims.items())
        )
        return runs

    return opened


@pytest.fixture
def resolved() -> dict[str, Any]:
    """The configuration of a run of the profile `laptop`."""
    return resolve({"client_id": "c", "workload_id": "w"}, None).model_dump(mode="json")


class FakeNemo:
    """An evaluator and a customizer with jobs, all of which are in `state`; no deployment.

    `refuses`: no customization is accepted.
    """

    def __init__(self) -> None:
        self.state, self.refuses = "running", False
        # Of every answer, where it is an error.
        self.status: int | None = None
        self.evaluations: list[dict[str, Any]] = []
        self.customizations: list[dict[str, Any]] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
                status, answer = fake.answer(self.command, self.path.partition("?")[0], sent)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - what the server calls

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}).start()

    def answer(self, method: str, path: str, sent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if self.status is not None:
            return self.status, {"detail": "no"}
        if "/configs" in path:
            return 200, {"name": "config"}
        for kind, jobs in (("evaluation", self.evaluations), ("customization", self.customizations)):
            if f"/{kind}/jobs" in path:
                return self._jobs(method, path, sent, jobs)
        return 404, {"detail": f"no {path}"}

    def _jobs(
        self, method: str, path: str, sent: dict[str, Any], jobs: list[dict[str, Any]]
    ) -> tuple[int, dict[str, Any]]:
        if path.endswith("/cancel"):
            self.state = "cancelled"
        elif method == "POST":
            if self.refuses:
                return 422, {"detail": "no such target"}
            jobs.append(sent | {"id": f"job-{len(jobs) + 1}"})
        elif path.endswith("/jobs"):
            return 200, {"data": [job | {"status": self.state} for job in jobs]}
        return 200, jobs[-1] | {"status": self.state}


@pytest.fixture
def fake_nemo(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNemo]:
    """Behind the connection `nemo`."""
    fake = FakeNemo()
    url = f"http://127.0.0.1:{fake.server.server_address[1]}"
    extra = {"data_store_url": url, "nim_proxy_url": f"{url}/nim", "namespace": "flywheel"}
    monkeypatch.setenv("AIRFLOW_CONN_NEMO", json.dumps({"conn_type": "nemo", "host": url, "extra": extra}))
    yield fake
    fake.server.shutdown()
    fake.server.server_close()


def _fake_judge() -> Any:
    """The class of tests/fakes, which is no package."""
    path = Path(__file__).resolve().parents[1] / "fakes" / "judge.py"
    spec = importlib.util.spec_from_file_location("tests_fakes_judge", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.FakeJudge


@pytest.fixture
def judge() -> Iterator[Any]:
    """A judge behind HTTP that answers as a test says."""
    fake = _fake_judge()()
    yield fake
    fake.close()

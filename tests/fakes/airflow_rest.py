"""Airflow's REST API as far as our commands use it, on a port of its own; a test sets what it answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass
class Request:
    """One request as it came."""

    method: str
    path: str
    body: Any


@dataclass
class FakeAirflow:
    """A context manager; `url` is valid inside."""

    user: str = "ann"
    password: str = "s3cret-pass"
    token: str = "t0ken-of-ann"
    states: dict[tuple[str, str], str] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    cleared: int = 7
    # What is answered instead, whatever is asked: a status and a text.
    instead: tuple[int, str] | None = None
    # So often a change is answered with 500, as where Airflow's database breaks a deadlock.
    deadlocks: int = 0
    # Called after a run was marked failed or cleared, with DAG id and run id.
    afterwards: Callable[[str, str], None] = lambda *_: None
    requests: list[Request] = field(default_factory=list)

    def __enter__(self) -> FakeAirflow:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                path = urlsplit(self.path).path
                fake.requests.append(Request(self.command, path, body))
                status, answer = fake.answer(self.command, path, body, self.headers.get("Authorization"))
                content = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PATCH = _serve  # noqa: N815 - what the server calls

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, method: str, path: str, body: Any, authorization: str | None) -> tuple[int, Any]:
        """Status and content of an answer."""
        if path == "/auth/token":
            if (body["username"], body["password"]) != (self.user, self.password):
                return 401, {"detail": f"no: {body['password']}"}
            return 201, {"access_token": self.token}
        if authorization != f"Bearer {self.token}":
            return 401, {"detail": f"no: {authorization}"}
        if self.instead is not None:
            return self.instead
        parts = path.removeprefix("/api/v2/dags/").split("/")
        dag_id = unquote(parts[0])
        if parts[1:2] == ["clearTaskInstances"]:
            self._afterwards("queued", dag_id, body["dag_run_id"])
            return 200, {"task_instances": [{}] * self.cleared, "total_entries": None}
        if parts[1:2] != ["dagRuns"]:
            return 200, {"dag_id": dag_id, "is_paused": dag_id in self.paused}
        run_id = unquote(parts[2])
        if (dag_id, run_id) not in self.states:
            return 404, {"detail": "not found"}
        if method == "PATCH" and self.deadlocks:
            self.deadlocks -= 1
            return 500, {"detail": {"reason": "Database error"}}
        if method == "PATCH":
            self._afterwards(body["state"], dag_id, run_id)
        return 200, {"dag_run_id": run_id, "state": self.states[dag_id, run_id]}

    def _afterwards(self, state: str, dag_id: str, run_id: str) -> None:
        self.states[dag_id, run_id] = state
        self.afterwards(dag_id, run_id)

"""A NeMo on the wire whose answers are written down in advance, and an Airflow without a database."""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

# Airflow reads these when it is first imported.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow_nemo_tests_"))
os.environ.setdefault("AIRFLOW__CORE__UNIT_TEST_MODE", "True")
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")

DROP = "drop the connection"
CUT = "send half of the body"


class FakeNemo(BaseHTTPRequestHandler):
    """Answers `METHOD path` from a script: one answer after the other, the last again and again.

    An answer is a JSON body (200), a pair of status and body or of status and headers, `DROP`, or `CUT`.
    """

    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = f"{self.command} {self.path.split('?')[0]}"
        self.server.seen.append(asked)
        self.server.tokens.append(self.headers.get("Authorization"))
        script = self.server.script.get(asked, [(404, {"detail": f"no {asked}"})])
        answer = script.pop(0) if len(script) > 1 else script[0]
        if answer == DROP:
            self.close_connection = True
            return
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        if answer == CUT:
            content = b'{"id": "x", "status": "comple'
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content) + (30 if answer == CUT else 0)))
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = answer == CUT


class Nemo:
    """What a test says to the fake: `nemo.will("GET /v1/...", answer, answer)`."""

    drop, cut = DROP, CUT

    def __init__(self) -> None:
        self.server: Any = ThreadingHTTPServer(("127.0.0.1", 0), FakeNemo)
        self.server.daemon_threads = True
        self.server.script, self.server.seen, self.server.tokens, self.server.headers = {}, [], [], {}
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )
        thread.start()

    def will(self, asked: str, *answers: Any) -> None:
        self.server.script[asked] = list(answers)

    @property
    def seen(self) -> list[str]:
        return list(self.server.seen)

    @property
    def tokens(self) -> list[str | None]:
        return list(self.server.tokens)

    def connection(self, **changes: Any) -> str:
        extra = {
            "data_store_url": self.url,
            "nim_proxy_url": f"{self.url}/nim",
            "namespace": "flywheel",
        }
        fields = {"conn_type": "nemo", "host": self.url, "password": "tok", "extra": extra}
        return json.dumps(fields | changes)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def nemo(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nemo]:
    fake = Nemo()
    monkeypatch.setenv("AIRFLOW_CONN_NEMO", fake.connection())
    yield fake
    fake.close()

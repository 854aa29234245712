"""Decisions to report on, and an application that answers by script."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from include.flywheel.evaluation.decision import DecisionInputs
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import PRIMARY_SCORE, Stage


@dataclass(frozen=True)
class Answer:
    """What the application answers; `breaks` closes the connection without one."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    breaks: bool = False


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes


class Application:
    """Answers each POST with the next of its script (the last one again and again) and remembers it."""

    def __init__(self) -> None:
        self.script: list[Answer] = [Answer()]
        self.received: list[Received] = []
        application = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = application.script[min(len(application.received), len(application.script) - 1)]
                application.received.append(Received(self.path, dict(self.headers), body))
                if answer.breaks:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.address}/events"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def application() -> Iterator[Application]:
    running = Application()
    yield running
    running.close()


@pytest.fixture
def answer() -> type[Answer]:
    return Answer


def _scores(nim: str, stage: Stage, right: int, model: str | None = None) -> StageScores:
    return StageScores(
        nim=nim,
        model=model or nim,
        stage=stage,
        scores={PRIMARY_SCORE: [1.0] * right + [0.0] * (200 - right), "function_name": [1.0] * 200},
        item_ids=[f"{index:016x}" for index in range(200)],
        conversation_ids=[f"c{index}" for index in range(200)],
    )


@pytest.fixture
def inputs() -> Callable[..., DecisionInputs]:
    def build(**overrides: Any) -> DecisionInputs:
        fields: dict[str, Any] = {
            "candidates": [
                _scores("meta/small", Stage.BASE, 40),
                _scores("meta/small", Stage.CUSTOMIZED, 184, model="flywheel/small@cust-1"),
            ],
            "missing": [{"nim": "meta/large", "stage": Stage.BASE, "reason": "no GPU is free"}],
            "reference": _scores("acme/agent", Stage.REFERENCE, 180),
            "seed": 3,
        }
        return DecisionInputs(**(fields | overrides))

    return build

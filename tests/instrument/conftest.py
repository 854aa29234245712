"""A sink that remembers, a server that answers as a test tells it, and records to send."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from include.instrument import WRITTEN, Line, Outcome, Recorder, Settings

FAST = Settings(batch_seconds=0.02, retry_first_seconds=0.01, retry_max_seconds=0.05)


class MemorySink:
    """Keeps lines; while `gate` is closed a write waits, and `faults` are raised first, one a write."""

    def __init__(self) -> None:
        self.batches: list[list[Line]] = []
        self.faults: list[Exception] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.closed = 0

    def write(self, lines: Sequence[Line]) -> list[Outcome]:
        self.entered.set()
        self.gate.wait(10)
        if self.faults:
            raise self.faults.pop(0)
        self.batches.append(list(lines))
        return [WRITTEN] * len(lines)

    def close(self) -> None:
        self.closed += 1

    @property
    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(line.body) for batch in self.batches for line in batch]


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def recorders() -> Iterator[Callable[..., Recorder]]:
    """Makes recorders with fast settings and ids, and closes them."""
    made: list[Recorder] = []

    def make(sink: Any, **given: Any) -> Recorder:
        given = {"client_id": "acme", "workload_id": "desk", "settings": FAST, **given}
        made.append(Recorder(sink, **given))
        return made[-1]

    yield make
    for recorder in made:
        recorder.close(0.1)


@pytest.fixture
def recorder(sink: MemorySink, recorders: Callable[..., Recorder]) -> Recorder:
    return recorders(sink)


@pytest.fixture
def fast() -> Settings:
    return FAST


@dataclass
class Asked:
    """A request as the server saw it."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """A real HTTP server. `answer(asked, handler)` sends what a test wants sent."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    answer: Callable[[Asked, BaseHTTPRequestHandler], None] = lambda asked, handler: send(handler, 404, b"")


def send(
    handler: BaseHTTPRequestHandler, status: int, body: bytes, kind: str = "application/json", **headers: str
) -> None:
    """A whole answer with its length."""
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


@pytest.fixture
def send_answer() -> Callable[..., None]:
    return send


def serve(port: int = 0) -> tuple[Server, ThreadingHTTPServer]:
    """A server that runs in a thread until its `shutdown` and `server_close`."""
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = Asked(self.path, dict(self.headers.items()), body)
            server.asked.append(asked)
            server.answer(asked, self)

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: Any) -> None:
            """A client that goes away is no error of the test."""

    wire = Quiet(("127.0.0.1", port), Handler)
    threading.Thread(target=wire.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    server.url = f"http://127.0.0.1:{wire.server_address[1]}"
    return server, wire


@pytest.fixture
def serving() -> Iterator[Callable[[int], Server]]:
    """Starts servers on given ports."""
    wires: list[ThreadingHTTPServer] = []

    def start(port: int) -> Server:
        server, wire = serve(port)
        wires.append(wire)
        return server

    yield start
    for wire in wires:
        wire.shutdown()
        wire.server_close()


@pytest.fixture
def server(serving: Callable[[int], Server]) -> Server:
    return serving(0)


COMPLETION = {
    "id": "c-1",
    "object": "chat.completion",
    "created": 1,
    "model": "big",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"},
    ],
    "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
}


@pytest.fixture
def completion() -> dict[str, Any]:
    return json.loads(json.dumps(COMPLETION))


@pytest.fixture
def chunks() -> list[dict[str, Any]]:
    """The chunks of an answer with a text and a tool call, the usage last."""
    head = {"id": "c-2", "object": "chat.completion.chunk", "created": 1, "model": "big"}

    def chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}

    def call(**function: str) -> dict[str, Any]:
        return {"index": 0, "function": function}

    return [
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "One mo"}),
        chunk({"content": "ment."}),
        chunk({"tool_calls": [{**call(name="get_order", arguments=""), "id": "t-1", "type": "function"}]}),
        chunk({"tool_calls": [call(arguments='{"id": ')]}),
        chunk({"tool_calls": [call(arguments='"SO-1"}')]}),
        chunk({}, "tool_calls"),
        {**head, "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 5}},
    ]


@pytest.fixture
def assembled() -> dict[str, Any]:
    """The message that `chunks` are the pieces of."""
    function = {"name": "get_order", "arguments": '{"id": "SO-1"}'}
    return {
        "role": "assistant",
        "content": "One moment.",
        "tool_calls": [{"id": "t-1", "type": "function", "function": function}],
    }

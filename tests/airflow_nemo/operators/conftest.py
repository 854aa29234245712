"""The stand-in on the wire, and a wire that loses answers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
import uvicorn

from include.airflow_nemo.hook import NemoHook
from include.nemo import entities
from include.nemo.datastore import create_namespace
from include.nemo_local.app import create_app
from include.nemo_local.settings import Settings

DURATIONS = ("deploy_seconds", "evaluation_seconds", "training_seconds", "adapter_listing_seconds")
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": f"get_{what}",
            "description": f"The {what} of a city",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
            },
        },
    }
    for what in ("weather", "mayor")
]


class Wire(BaseHTTPRequestHandler):
    """Passes requests on. `after_post` is called once NeMo has done a POST, before its answer goes on."""

    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_: Any) -> None:
        pass

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        kind = {"Content-Type": self.headers.get("Content-Type") or "application/json"}
        url = self.server.target + self.path
        answer = httpx.request(self.command, url, content=body, headers=kind, timeout=20)
        if self.command == "POST" and self.server.after_post is not None:
            after, self.server.after_post = self.server.after_post, None
            self.close_connection = True
            after()
            return
        self.send_response(answer.status_code)
        self.send_header("Content-Type", answer.headers.get("Content-Type", "text/plain"))
        self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        self.wfile.write(answer.content)

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def do_DELETE(self) -> None:
        self._pass_on()


class StandIn:
    """The stand-in, and the connections `nemo` (to it) and `lossy` (through the wire)."""

    def __init__(self, url: str, wire: Any) -> None:
        self.url = url
        self.wire = wire
        self.http = httpx.Client(base_url=url, timeout=20)

    def connection(self, url: str) -> str:
        extra = {"data_store_url": url, "nim_proxy_url": f"{url}/nim", "namespace": "flywheel"}
        return json.dumps({"conn_type": "nemo", "host": url, "extra": extra})

    @property
    def wire_url(self) -> str:
        return f"http://127.0.0.1:{self.wire.server_port}"

    def losing_an_answer(self, after: Callable[[], Any] = lambda: None) -> None:
        """The answer of the next POST through `lossy` never comes; `after` is called instead."""
        self.wire.after_post = after

    def behave(self, **behaviour: Any) -> None:
        self.http.post("/_local/behaviours", json=behaviour).raise_for_status()

    def fault(self, **fault: Any) -> None:
        self.http.post("/_local/faults", json=fault).raise_for_status()

    def behave_well(self) -> None:
        for what in ("faults", "behaviours"):
            self.http.delete(f"/_local/{what}").raise_for_status()

    def jobs(self, kind: str, project: str) -> list[dict[str, Any]]:
        """The jobs of a project, oldest first."""
        params = {"filter[project]": project, "page_size": 100}
        rows = self.http.get(f"/v1/{kind}/jobs", params=params).json()["data"]
        return sorted((row for row in rows if row["project"] == project), key=lambda row: row["created_at"])


class Instance:
    """What an operator asks of its task instance."""

    def __init__(self, task_id: str = "work", map_index: int = -1) -> None:
        self.dag_id, self.task_id, self.map_index = "d", task_id, map_index
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("stand_in")
    settings = Settings(data_dir=folder, gpus=16, **dict.fromkeys(DURATIONS, 0.05))
    server = uvicorn.Server(uvicorn.Config(create_app(settings), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the stand-in ended before it was ready"
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(5)


@pytest.fixture
def stand_in(_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    wire: Any = ThreadingHTTPServer(("127.0.0.1", 0), Wire)
    wire.daemon_threads, wire.target, wire.after_post = True, _server, None
    threading.Thread(target=wire.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    whole = StandIn(_server, wire)
    monkeypatch.setenv("AIRFLOW_CONN_NEMO", whole.connection(_server))
    monkeypatch.setenv("AIRFLOW_CONN_LOSSY", whole.connection(whole.wire_url))
    yield whole
    whole.behave_well()
    wire.shutdown()
    wire.server_close()


@pytest.fixture
def context() -> dict[str, Any]:
    return {"ti": Instance()}


@pytest.fixture(scope="session")
def _uploaded() -> set[str]:
    return set()


@pytest.fixture
def dataset(stand_in: StandIn, _uploaded: set[str]) -> str:
    """`namespace/name` of a small data set for training and evaluation."""
    name = "flywheel/cities"
    if name in _uploaded:
        return name
    with NemoHook().client() as nemo:
        nemo.send(create_namespace("flywheel"))
    store = NemoHook().data_store()
    store.ensure_repo(name)
    store.upload_file(name, "training/train.jsonl", _lines([_turn(n) for n in range(40)]))
    store.upload_file(name, "validation/val.jsonl", _lines([_turn(n) for n in range(40, 50)]))
    store.upload_file(name, "testing/eval.jsonl", _lines([_item(n) for n in range(5)]))
    with NemoHook().client() as nemo:
        nemo.send(entities.create_dataset("flywheel", "cities", files_url=f"hf://datasets/{name}"))
    _uploaded.add(name)
    return name


def _call(number: int) -> dict[str, Any]:
    arguments = {"city": ("Oslo", "Lima", "Riga")[number % 3]}
    return {"name": ("get_weather", "get_mayor")[number % 2], "arguments": arguments}


def _request(number: int) -> list[dict[str, Any]]:
    call = _call(number)
    words = "umbrella in" if call["name"] == "get_weather" else "who governs"
    return [{"role": "user", "content": f"{words} {call['arguments']['city']}"}]


def _turn(number: int) -> dict[str, Any]:
    calls = [{"id": "call_1", "type": "function", "function": _call(number)}]
    answer = {"role": "assistant", "content": "", "tool_calls": calls}
    return {"messages": [*_request(number), answer], "tools": TOOLS}


def _item(number: int) -> dict[str, Any]:
    request = {"messages": _request(number), "tools": TOOLS, "tool_choice": "auto"}
    return {"request": request, "tool_calls": [{"function": _call(number)}]}


def _lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)

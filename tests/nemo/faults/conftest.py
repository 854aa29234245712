"""A service that misbehaves on real sockets, in every way that a network and a proxy know."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import struct
import threading
import zipfile
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

NAN = float("nan")
PATIENCE_SECONDS = 12
"""How long the service goes on misbehaving towards a client that does not give up."""
DRIP_SECONDS = 0.4
"""Well below any limit of the clients, and slow enough that hundreds of drips leave the machine idle."""

NUMBERS = ("percentage_done", "epochs_completed", "train_loss", "val_loss", "progress", "index", "size")
SCORES = {"t": {"metrics": {"m": {"scores": {"s": {"value": NAN, "stats": {"mean": NAN}}}}}}}
WRONG = {
    "id": {"a": 1},
    "name": ["n"],
    "data": {"a": 1},
    "status": ["running"],
    "status_details": "fine",
    "entries": 1,
    "message": 7,
    "percentage_done": "half",
    "choices": "none",
    "tasks": [1],
    "files": "all",
    "result": "good",
    "url": 5,
    "sha": {"a": 1},
}


def good_answer(path: str) -> tuple[bytes, str]:
    """Body and type of a right answer to whatever is asked at `path`."""
    if path.endswith(("/download-results", "/logs")):
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("results.json", "[]")
        return archive.getvalue(), "application/zip"
    if "/resolve/" in path:
        return b'{"a": 1}\n', "application/octet-stream"
    return json.dumps(good_json(path)).encode(), "application/json"


def good_json(path: str) -> Any:
    if path.endswith("/embeddings"):
        return {"data": [{"index": 0, "embedding": [0.5]}]}
    if path.endswith("/preupload/main"):
        return {"files": [{"path": "f.jsonl", "uploadMode": "regular", "shouldIgnore": False}]}
    if "/tree/main" in path:
        return [{"type": "file", "path": "f.jsonl", "size": 1, "oid": "0"}]
    choices = [{"message": {"content": "hi"}, "text": "hi"}]
    where = {"url": "datasets/ns/d", "sha": "abc", "commitOid": "c", "commitUrl": ""}
    return {"id": "ns/x", "object": "list", "data": [], "choices": choices, **where}


def nan_answer(path: str) -> bytes:
    """A right answer, but NaN where a number may stand."""
    body = good_json(path)
    if path.endswith("/embeddings"):
        body["data"][0]["embedding"] = [NAN]
    elif isinstance(body, dict):
        details = {"percentage_done": NAN, "train_loss": NAN, "progress": NAN}
        body |= dict.fromkeys(NUMBERS, NAN) | {"tasks": SCORES, "status_details": details}
    return json.dumps(body).encode()


class Exchange:
    """One request that is being answered."""

    def __init__(self, reader: Any, writer: Any, path: str, token: str) -> None:
        self.reader, self.writer, self.path, self.token = reader, writer, path, token

    def answer(self, status: int, body: bytes, kind: str = "application/json", **headers: Any) -> None:
        lines = {"Content-Type": kind, "Content-Length": len(body), "Connection": "close"}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.writer.write(f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + body)

    def refuse(self, status: int, **headers: Any) -> None:
        """An error whose words give our own token back, as careless services do."""
        self.answer(status, json.dumps({"detail": f"no; token {self.token}"}).encode(), **headers)

    async def nothing(self) -> None:
        await asyncio.wait_for(self.reader.read(), PATIENCE_SECONDS)

    async def drip(self, start: bytes, drop: bytes) -> None:
        self.writer.write(start)
        for _ in range(round(PATIENCE_SECONDS / DRIP_SECONDS)):
            if self.reader.at_eof():
                return
            self.writer.write(drop)
            try:
                await asyncio.wait_for(self.reader.read(1), DRIP_SECONDS)
            except TimeoutError:
                continue

    def reset(self) -> None:
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


HTML = b"<html><body>Welcome to the proxy</body></html>"
LONG = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999999\r\n\r\n{"
Fault = Callable[[Exchange], Awaitable[None] | None]
FAULTS: dict[str, Fault | None] = {
    "refused": None,
    "connect timeout": None,
    "read timeout": lambda x: x.nothing(),
    "slow body": lambda x: x.drip(LONG, b" "),
    "slow head": lambda x: x.drip(b"HTTP/1.1 200 OK\r\nX-Filler: ", b"z"),
    "reset": lambda x: x.reset(),
    "closed": lambda x: None,
    "cut off": lambda x: x.answer(200, good_answer(x.path)[0], Content_Length=9999),
    "429": lambda x: x.refuse(429),
    "429, Retry-After": lambda x: x.refuse(429, Retry_After=7),
    "500": lambda x: x.refuse(500),
    "503": lambda x: x.refuse(503),
    "404": lambda x: x.refuse(404),
    "HTML 502": lambda x: x.answer(502, HTML, "text/html"),
    "HTML 200": lambda x: x.answer(200, HTML, "text/html"),
    "truncated JSON": lambda x: x.answer(200, json.dumps(good_json(x.path)).encode()[:-3]),
    "wrong types": lambda x: x.answer(200, json.dumps(WRONG).encode()),
    "another JSON": lambda x: x.answer(200, b'"welcome"'),
    "NaN": lambda x: x.answer(200, nan_answer(x.path)),
    "empty body": lambda x: x.answer(200, b""),
    "204": lambda x: x.answer(204, b""),
}


class Case:
    """A service at an address of its own, which fails `times` times, then answers."""

    def __init__(self, service: Service, name: str, fault: str, times: int) -> None:
        self.service, self.name, self.fault, self.left = service, name, fault, times
        self._clogs: list[socket.socket] = []
        self._door: socket.socket | None = None
        port = service.port
        if FAULTS[fault] is None:
            self._door = socket.socket()
            self._door.bind(("127.0.0.1", 0))
            port = self._door.getsockname()[1]
            if fault == "connect timeout":
                self._clog(port)
        self.url = f"http://127.0.0.1:{port}/{name}"

    def _clog(self, port: int) -> None:
        """A queue of connections that is full: whoever comes now gets no answer at all."""
        assert self._door is not None
        self._door.listen(0)
        for _ in range(3):
            clog = socket.socket()
            clog.setblocking(False)
            clog.connect_ex(("127.0.0.1", port))
            self._clogs.append(clog)

    def a_try_failed(self) -> None:
        """A service that could not be reached comes back when its time is up."""
        if self._door is None:
            return
        self.left -= 1
        if self.left == 0:
            door, self._door = self._door, None
            self.service.open(door)

    def close(self) -> None:
        for one in (*self._clogs, *([self._door] if self._door else [])):
            one.close()


class Service:
    """The server; its cases are told apart by the first segment of the path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cases: dict[str, Case] = {}
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.port = self.open(socket.create_server(("127.0.0.1", 0)))

    def open(self, door: socket.socket) -> int:
        """Answer at this socket; returns its port."""
        port: int = door.getsockname()[1]
        opening: Future[Any] = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, sock=door, backlog=500), self._loop
        )
        opening.result(10)
        return port

    def case(self, fault: str, times: int) -> Case:
        name = f"case-{len(self.cases)}"
        self.cases[name] = Case(self, name, fault, times)
        return self.cases[name]

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
            await reader.readexactly(int(headers.get("content-length", 0)))
            path = head[0].split(" ")[1].split("?")[0]
            exchange = Exchange(
                reader, writer, path, headers.get("authorization", "").removeprefix("Bearer ")
            )
            await self._answer(exchange, self.cases[path.split("/")[1]])
            await writer.drain()
        except (ConnectionError, TimeoutError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, exchange: Exchange, case: Case) -> None:
        fault = FAULTS[case.fault]
        if case.left <= 0 or fault is None:
            return exchange.answer(200, *good_answer(exchange.path))
        case.left -= 1
        if (going := fault(exchange)) is not None:
            await going
        return None


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    server = Service(tmp_path_factory.mktemp("downloads"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def faults() -> list[str]:
    return list(FAULTS)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "fault" in metafunc.fixturenames:
        metafunc.parametrize("fault", list(FAULTS))

"""Files of any size go up and down in little memory, and an interruption leaves nothing half done."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import struct
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from include.nemo import NO_RETRIES, AsyncNemoClient, NemoClient, NemoUrls, RetryPolicy, datastore
from include.nemo.datastore import DataStore
from include.nemo.errors import Forbidden, NotEnoughResources, RateLimited, ServerError, Unreachable

MEBIBYTE = 1 << 20
BIG = 200 * MEBIBYTE
FLAT = 8 * MEBIBYTE
BLOCK = bytes(MEBIBYTE)
FILE = datastore.download_file("ns/d", "big.jsonl")


class Store(BaseHTTPRequestHandler):
    """A Data Store that keeps digests instead of files; `server.cuts` hang-ups come first."""

    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(BIG))
        self.end_headers()
        for sent in range(0, BIG, MEBIBYTE):
            if sent == 5 * MEBIBYTE and self._is_cut():
                return
            self.wfile.write(BLOCK)
            self.server.under_way.set()
            if self.server.hangs:
                self.rfile.read(1)
                return

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "preupload" in self.path:
            file = {"path": "big.jsonl", "uploadMode": "lfs", "shouldIgnore": False}
            return self._say(200, {"files": [file]})
        if "batch" in self.path:
            return self._say(200, {"transfer": "basic", "objects": list(self._objects(json.loads(body)))})
        if self.server.failing_commits:
            self.server.failing_commits -= 1
            return self._say(503, {"detail": "not now"})
        self.server.committed.append(json.loads(body.splitlines()[1])["value"]["oid"])
        return self._say(200, {"commitOid": "c1", "commitUrl": ""})

    def do_PUT(self) -> None:
        digest, left = hashlib.sha256(), int(self.headers["Content-Length"])
        self.server.puts += 1
        while left:
            block = self.rfile.read(min(left, MEBIBYTE))
            left -= len(block)
            digest.update(block)
            if self._is_cut():
                return None
        if self.server.refusal:
            return self._say(self.server.refusal, {"detail": "no"})
        self.server.stored.add(digest.hexdigest())
        return self._say(200, {})

    def _objects(self, wanted: Any) -> Iterator[Any]:
        for one in wanted["objects"]:
            where = {"upload": {"href": f"http://{self.headers['Host']}/blobs/{one['oid']}"}}
            yield one if one["oid"] in self.server.stored else one | {"actions": where}

    def _is_cut(self) -> bool:
        if not self.server.cuts:
            return False
        self.server.cuts -= 1
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
        return True

    def _say(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Connections break here on purpose."""


@pytest.fixture
def server() -> Iterator[Any]:
    one: Any = Quiet(("127.0.0.1", 0), Store)
    one.cuts = one.failing_commits = one.puts = one.refusal = 0
    one.stored, one.committed, one.hangs = set(), [], False
    one.under_way = threading.Event()
    threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield one
    one.shutdown()
    one.server_close()


@pytest.fixture
def urls(server: Any) -> NemoUrls:
    url = f"http://127.0.0.1:{server.server_port}"
    return NemoUrls(url, url, url)


@pytest.fixture
def big(tmp_path: Path) -> Path:
    file = tmp_path / "big.jsonl"
    with file.open("wb") as sparse:
        sparse.truncate(BIG)
    return file


def _peak_bytes(action: Callable[[], Any]) -> int:
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _download(kind: str, urls: NemoUrls, target: Path, tries: int = 1) -> int:
    policy = RetryPolicy(tries=tries, base_seconds=0.0)
    if kind == "sync":
        with NemoClient(urls, retries=policy) as client:
            return client.download(FILE, target)

    async def download() -> int:
        async with AsyncNemoClient(urls, retries=policy) as client:
            return await client.download(FILE, target)

    return asyncio.run(download())


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_big_file_comes_down_in_little_memory(kind: str, urls: NemoUrls, tmp_path: Path) -> None:
    assert _peak_bytes(lambda: _download(kind, urls, tmp_path / "down")) < FLAT
    assert (tmp_path / "down").stat().st_size == BIG


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_an_interrupted_download_leaves_nothing(
    kind: str, server: Any, urls: NemoUrls, tmp_path: Path
) -> None:
    server.cuts = 1
    with pytest.raises(Unreachable):
        _download(kind, urls, tmp_path / "down")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_download_spares_what_was_there(server: Any, urls: NemoUrls, tmp_path: Path) -> None:
    (tmp_path / "down").write_text("before")
    server.cuts = 1
    with pytest.raises(Unreachable):
        _download("sync", urls, tmp_path / "down")
    assert (tmp_path / "down").read_text() == "before"
    assert _download("sync", urls, tmp_path / "down", tries=2) == BIG


async def test_a_cancelled_download_leaves_nothing(server: Any, urls: NemoUrls, tmp_path: Path) -> None:
    server.hangs = True
    async with AsyncNemoClient(urls, retries=NO_RETRIES) as client:
        task = asyncio.create_task(client.download(FILE, tmp_path / "down"))
        await asyncio.to_thread(server.under_way.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert list(tmp_path.iterdir()) == []


def test_a_big_file_goes_up_in_little_memory(server: Any, urls: NemoUrls, big: Path) -> None:
    store = DataStore(urls, retries=NO_RETRIES)
    store.upload_file("ns/d", "big.jsonl", b"loads the library")
    assert _peak_bytes(lambda: store.upload_file("ns/d", "big.jsonl", big)) < FLAT
    assert len(server.stored) == 2
    assert server.committed[-1] in server.stored


def test_an_upload_that_breaks_is_sent_again_from_its_beginning(server: Any, urls: NemoUrls) -> None:
    server.cuts = 2
    content = bytes(range(256)) * 20_000
    store = DataStore(urls, retries=RetryPolicy(tries=3, base_seconds=0.0))
    store.upload_file("ns/d", "big.jsonl", content)
    assert server.puts == 3
    assert server.committed == [hashlib.sha256(content).hexdigest()]


@pytest.mark.parametrize(
    ("refusal", "kind"), [(403, Forbidden), (429, RateLimited), (500, ServerError), (507, NotEnoughResources)]
)
def test_a_large_file_that_is_refused_is_a_named_error_at_once(
    server: Any, urls: NemoUrls, refusal: int, kind: type[Exception]
) -> None:
    server.refusal = refusal
    with pytest.raises(kind, match=r"'upload big.jsonl to ns/d' failed \(HTTP"):
        DataStore(urls, retries=NO_RETRIES).upload_file("ns/d", "big.jsonl", b"content")
    assert server.puts == 1


def test_what_has_arrived_is_not_sent_again(server: Any, urls: NemoUrls) -> None:
    server.failing_commits = 1
    store = DataStore(urls, retries=NO_RETRIES)
    with pytest.raises(ServerError):
        store.upload_file("ns/d", "big.jsonl", b"content")
    store.upload_file("ns/d", "big.jsonl", b"content")
    assert server.puts == 1
    assert server.committed == [hashlib.sha256(b"content").hexdigest()]

"""The Data Store's client against a small server that speaks the Hub API as NVIDIA's store does."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from include.nemo import NO_RETRIES, NemoClient, NemoUrls, RetryPolicy, datastore
from include.nemo.datastore import DataStore
from include.nemo.errors import NotFound, ServerError, Unauthorized, UnexpectedAnswer, Unreachable

REPO = "ns/fw-1"
ROOT = "/v1/hf/api/datasets/ns/fw-1"


class Hub(BaseHTTPRequestHandler):
    """One repo per server; `server.faults` are statuses to answer before doing anything right."""

    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        body = self._body()
        self.server.seen.append((self.command, self.path.split("?")[0], dict(self.headers)))
        if self.server.faults:
            fault = self.server.faults.pop(0)
            if fault == "html":
                return self._raw(200, b"<html>starting</html>", "text/html")
            return self._json(fault, {"detail": "not now"}, {"Retry-After": "0"})
        return self._answer(self.path.split("?")[0], body)

    def _answer(self, path: str, body: bytes) -> None:
        server = self.server
        if path.endswith("/repos/create"):
            known, server.exists = server.exists, True
            return self._json(409 if known else 200, {"url": "datasets/ns/fw-1"})
        if not server.exists:
            return self._json(404, {"detail": "no such repo"}, {"X-Error-Code": "RepoNotFound"})
        if path.endswith("/preupload/main"):
            files = [
                {"path": file["path"], "uploadMode": server.mode, "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            return self._json(200, {"files": files})
        if path.endswith("/commit/main"):
            return self._commit(body)
        if "/lfs/objects/batch" in path:
            return self._batch(json.loads(body))
        if path.startswith("/blobs/"):
            server.blobs[hashlib.sha256(body).hexdigest()] = body
            return self._json(200, {})
        if "/tree/main" in path:
            files = [
                {"type": "file", "path": name, "size": len(content), "oid": "0"}
                for name, content in server.files.items()
            ]
            return self._json(200, files)
        if "/resolve/main/" in path:
            return self._raw(200, server.files[path.split("/resolve/main/")[1]], "text/plain")
        if path.endswith("/repos/delete"):
            server.exists = False
            return self._json(200, {})
        return self._json(200, {"id": REPO, "sha": server.sha})

    def _commit(self, body: bytes) -> None:
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                self.server.files[value["path"]] = base64.b64decode(value["content"])
            if entry["key"] == "lfsFile":
                self.server.files[value["path"]] = self.server.blobs[value["oid"]]
        # The real store answers an empty address here.
        self._json(200, {"commitOid": "c1", "commitUrl": ""})

    def _batch(self, body: dict[str, Any]) -> None:
        base = f"http://{self.headers['Host']}/blobs/"
        objects = [
            {**wanted, "actions": {"upload": {"href": base + wanted["oid"]}}} for wanted in body["objects"]
        ]
        self._json(200, {"transfer": "basic", "objects": objects})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            chunks = []
            while size := int(self.rfile.readline(), 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(chunks)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _json(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        self._raw(status, json.dumps(body).encode(), "application/json", headers)

    def _raw(self, status: int, content: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (
            {"Content-Type": kind, "Content-Length": str(len(content))} | (headers or {})
        ).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def hub() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.daemon_threads = True
    server.exists, server.mode, server.sha = False, "regular", "abc"
    server.files, server.blobs, server.seen, server.faults = {}, {}, [], []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def _urls(hub: Any) -> NemoUrls:
    url = f"http://127.0.0.1:{hub.server_port}"
    return NemoUrls(url, url, url)


@pytest.fixture
def store(hub: Any) -> DataStore:
    return DataStore(_urls(hub), "tok", retries=RetryPolicy(tries=3), sleep=lambda _: None)


def test_a_repo_goes_up_and_down(store: DataStore, hub: Any, tmp_path: Path) -> None:
    store.ensure_repo(REPO)
    store.ensure_repo(REPO)
    (tmp_path / "eval.jsonl").write_bytes(b'{"a": 1}\n')
    store.upload_file(REPO, "testing/eval.jsonl", tmp_path / "eval.jsonl")
    store.upload_file(REPO, "training/train.jsonl", b'{"b": 2}\n')
    assert store.list_files(REPO) == ["testing/eval.jsonl", "training/train.jsonl"]
    assert store.revision(REPO) == "abc"
    with NemoClient(_urls(hub)) as client:
        size = client.download(datastore.download_file(REPO, "testing/eval.jsonl"), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b'{"a": 1}\n'
    assert size == 9
    assert store.delete_repo(REPO) is True
    assert store.delete_repo(REPO) is False


@pytest.mark.parametrize("mode", ["regular", "lfs"])
def test_a_file_object_is_uploaded_from_its_beginning_and_left_open(
    store: DataStore, hub: Any, mode: str
) -> None:
    class Remote(io.RawIOBase):
        """Like the files of remote file systems: raw, seekable, no `io.BufferedIOBase`."""

        def __init__(self, content: bytes) -> None:
            self.inner = io.BytesIO(content)

        def readable(self) -> bool:
            return True

        def seekable(self) -> bool:
            return True

        def seek(self, offset: int, whence: int = 0, /) -> int:
            return self.inner.seek(offset, whence)

        def tell(self) -> int:
            return self.inner.tell()

        def readinto(self, buffer: Any, /) -> int:
            return self.inner.readinto(buffer)

    content = b"0123456789" * 20_000
    hub.mode, hub.exists = mode, True
    source = Remote(content)
    source.seek(5)
    store.upload_file(REPO, "training/train.jsonl", source)  # type: ignore[arg-type]
    assert hub.files == {"training/train.jsonl": content}
    assert not source.closed


def test_our_token_is_sent_and_nobody_elses(hub: Any, store: DataStore, monkeypatch: Any) -> None:
    store.ensure_repo(REPO)
    assert hub.seen[-1][2]["authorization"] == "Bearer tok"
    monkeypatch.setenv("HF_TOKEN", "hf_somebody")
    DataStore(_urls(hub)).list_files(REPO)
    assert "authorization" not in {name.lower() for name in hub.seen[-1][2]}


@pytest.mark.parametrize("fault", [500, 503, 429])
def test_a_passing_failure_is_repeated(store: DataStore, hub: Any, fault: int) -> None:
    hub.exists = True
    hub.faults = [fault]
    store.upload_file(REPO, "a.jsonl", b"x")
    assert hub.files == {"a.jsonl": b"x"}


def test_a_html_page_is_repeated(store: DataStore, hub: Any) -> None:
    hub.exists = True
    hub.faults = ["html"]
    assert store.revision(REPO) == "abc"


def test_a_failure_that_stays_is_named(hub: Any) -> None:
    hub.faults = [500] * 9
    store = DataStore(_urls(hub), retries=NO_RETRIES)
    with pytest.raises(ServerError, match=r"Data Store at 127.0.0.1:\d+: 'create repo ns/fw-1'"):
        store.ensure_repo(REPO)


def test_errors_are_of_our_tree(hub: Any, store: DataStore) -> None:
    with pytest.raises(NotFound, match="list files of ns/fw-1"):
        store.list_files(REPO)
    hub.faults = [401]
    with pytest.raises(Unauthorized):
        store.ensure_repo(REPO)


def test_an_answer_of_another_shape_is_unexpected(hub: Any) -> None:
    hub.exists, hub.sha = True, None
    store = DataStore(_urls(hub), retries=NO_RETRIES)
    hub.faults = [200]
    with pytest.raises(UnexpectedAnswer):
        store.ensure_repo(REPO)


def test_a_store_that_is_not_there(hub: Any) -> None:
    urls = _urls(hub)
    hub.shutdown()
    hub.server_close()
    with pytest.raises(Unreachable, match="Data Store") as raised:
        DataStore(urls, retries=NO_RETRIES).ensure_repo(REPO)
    assert raised.value.sent is False


@pytest.mark.parametrize("file", ["", "testing/eval.jsonl"])
def test_files_are_named_by_url(file: str) -> None:
    expected = "hf://datasets/ns/fw-1" + (f"/{file}" if file else "")
    assert datastore.files_url(REPO, file) == expected


def test_a_repo_without_namespace_is_refused(store: DataStore) -> None:
    with pytest.raises(ValueError, match="namespace/name"):
        store.ensure_repo("fw-1")

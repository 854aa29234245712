"""A stand-in for Elasticsearch: real HTTP, answers of the real shapes, documents in memory.

In a test: `with FakeElasticsearch() as fake: … fake.url`. As a process:
`python tests/fakes/elasticsearch.py --port 9200 [--journal FILE] [--api-key KEY]`; it prints its address when
it is ready. With a journal the documents outlive a restart. Faults of a process are set by
`POST /_fake/faults` with the fields of `es_faults.Fault` as JSON, and cleared by DELETE.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import gzip
import json
import re
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson

# This file is called like the client library: its folder must not stay on the path.
sys.path.insert(0, str(Path(__file__).parent))
from es_faults import Fault, Faults
from es_mapping import Refused
from es_routes import Cluster

sys.path.remove(str(Path(__file__).parent))

MAX_BODY_BYTES = 100 * 1024 * 1024
_MEDIA = re.compile(r"application/vnd\.elasticsearch\+(?:x-nd)?json;\s*compatible-with=(\d+)")


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class FakeElasticsearch:
    """The server, running in a thread of its own between `start` and `stop`."""

    def __init__(
        self,
        port: int = 0,
        *,
        version: str = "9.1.0",
        api_key: str | None = None,
        user: tuple[str, str] | None = None,
        product: str = "Elasticsearch",
        journal: Path | None = None,
    ) -> None:
        self.faults = Faults()
        self.requests: list[Request] = []
        self.cluster = Cluster(version)
        self.product = product
        self.allowed = {f"ApiKey {api_key}"} if api_key else set()
        if user:
            self.allowed.add("Basic " + base64.b64encode(":".join(user).encode()).decode())
        self.journal = journal
        if journal is not None and journal.exists():
            self._replay(journal)
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _Handler)
        self._server.daemon_threads = True
        self._server.fake = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def open_points(self) -> int:
        """Points in time that nobody closed."""
        return len(self.cluster.searches.points)

    def expire_points(self) -> None:
        self.cluster.searches.points.clear()

    def documents(self, index: str = "_all") -> list[dict[str, Any]]:
        """Everything that is stored, refreshed or not."""
        found = self.cluster.indices.resolve(index, lenient=True)
        return [json.loads(document.source) for one in found for document in one.documents]

    def start(self) -> FakeElasticsearch:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> FakeElasticsearch:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _replay(self, journal: Path) -> None:
        for line in journal.read_bytes().splitlines():
            entry = json.loads(line)
            fault = None
            self.cluster.answer(
                entry["method"],
                entry["path"],
                entry["params"],
                entry["body"].encode("utf-8", "surrogateescape"),
                fault,
            )

    def remember(self, request: Request, params: dict[str, str]) -> None:
        """Write down what changes something, so that a restart can do it again."""
        if (
            self.journal is None
            or request.method == "GET"
            or re.search(r"_(search|pit|count|refresh)", request.path)
        ):
            return
        path = urlsplit(request.path).path
        body = request.body.decode("utf-8", "surrogateescape")
        entry = {"method": request.method, "path": path, "params": params, "body": body}
        with self.journal.open("a") as file:
            file.write(json.dumps(entry) + "\n")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    @property
    def fake(self) -> FakeElasticsearch:
        return self.server.fake  # type: ignore[attr-defined,no-any-return]

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, body)
        address = urlsplit(self.path)
        if address.path == "/_fake/faults":
            return self._set_faults(body)
        self.fake.requests.append(request)
        fault = self.fake.faults.take(self.command, self.path)
        if fault and fault.delay_seconds:
            time.sleep(fault.delay_seconds)
        if fault and fault.reset:
            return self._cut(b"")
        if fault and fault.status:
            cause = {"type": fault.kind, "reason": "injected"}
            return self._send(
                fault.status, {"error": {"root_cause": [cause], **cause}, "status": fault.status}
            )
        params = dict(parse_qsl(address.query, keep_blank_values=True))
        status, answer = self._refusal(headers, body) or self.fake.cluster.answer(
            self.command, address.path, params, body, fault
        )
        self.fake.remember(request, params)
        if fault and isinstance(answer, dict):
            answer = answer | fault.patch
        return self._send(status, answer, fault)

    def _refusal(self, headers: dict[str, str], body: bytes) -> tuple[int, Any] | None:
        major = self.fake.cluster.version.split(".")[0]
        asked = [_MEDIA.match(headers.get(name, "")) for name in ("accept", "content-type")]
        try:
            if any(found and int(found[1]) not in (int(major), int(major) - 1) for found in asked):
                reason = f"Invalid media-type value on headers [Accept, Content-Type] for version {major}"
                raise Refused(400, "media_type_header_exception", reason)
            if body and "json" not in headers.get("content-type", ""):
                raise Refused(406, "content_type_header_exception", "Content-Type header is not supported")
            if self.fake.allowed and headers.get("authorization") not in self.fake.allowed:
                raise Refused(401, "security_exception", "unable to authenticate user for REST request")
            if len(body) > MAX_BODY_BYTES:
                raise Refused(413, "content_too_long_exception", "entity content is too long")
        except Refused as refused:
            return refused.status, refused.body()
        return None

    def _set_faults(self, body: bytes) -> None:
        if self.command == "DELETE":
            self.fake.faults.clear()
        else:
            self.fake.faults.add(**json.loads(body))
        self._send(200, {"acknowledged": True})

    def _send(self, status: int, answer: Any, fault: Fault | None = None) -> None:
        content = b"" if answer is None else orjson.dumps(_fragments(answer), option=orjson.OPT_NON_STR_KEYS)
        if fault and fault.cut:
            return self._cut(content)
        self.send_response(status)
        if self.fake.product:
            self.send_header("X-Elastic-Product", self.fake.product)
        media = _MEDIA.match(self.headers.get("Accept", ""))
        kind = (
            f"application/vnd.elasticsearch+json;compatible-with={media[1]}" if media else "application/json"
        )
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
        return None

    def _cut(self, content: bytes) -> None:
        """End the connection; of `content` only half was sent."""
        if content:
            self.send_response(200)
            self.send_header("X-Elastic-Product", self.fake.product)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve  # noqa: N815


def _fragments(answer: Any) -> Any:
    """The answer with each document's source as the bytes that were sent."""
    hits = answer.get("hits") if isinstance(answer, dict) else None
    if isinstance(hits, dict):
        for hit in hits.get("hits", []):
            if isinstance(hit.get("_source"), bytes):
                hit["_source"] = orjson.Fragment(hit["_source"])
    return answer


def index_of(path: str) -> str:
    """The index that a request's path names."""
    return unquote(urlsplit(path).path.strip("/").split("/")[0])


def main() -> None:
    parser = argparse.ArgumentParser(description="A stand-in for Elasticsearch")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--version", default="9.1.0")
    parser.add_argument("--api-key")
    parser.add_argument("--journal", type=Path)
    options = parser.parse_args()
    ends = {signal.SIGTERM, signal.SIGINT}
    # Before the first thread: a signal that one of them took would end the process at once.
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    fake = FakeElasticsearch(
        options.port, version=options.version, api_key=options.api_key, journal=options.journal
    )
    with fake:
        sys.stdout.write(f"{fake.url}\n")
        sys.stdout.flush()
        signal.sigwait(ends)


if __name__ == "__main__":
    main()

"""The application of the local stack, over HTTP: what it takes, refuses and keeps."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from include.flywheel.report.delivery import deliver
from include.local_stack.application import MAX_AGE_SECONDS, MAX_BODY_BYTES, PATH, refusal

SECRET = "what-both-sides-know"
EVENT = {"event": "run_completed", "verdict": "PROMOTABLE", "note": "ünï"}


def signature(timestamp: str, body: bytes, secret: str = SECRET) -> str:
    """By the contract, with nothing of ours: hex HMAC-SHA256 of `<timestamp>.<body>`."""
    made = hmac.new(secret.encode("utf-8"), digestmod=hashlib.sha256)
    made.update(timestamp.encode("ascii"))
    made.update(b".")
    made.update(body)
    return f"v1={made.hexdigest()}"


class Application:
    """One running receiver."""

    def __init__(self, url: str, file: Path) -> None:
        self.url, self.file = url, file

    def post(self, body: bytes, *, key: str = "event-1", path: str = PATH, **headers: str) -> httpx.Response:
        stamp = headers.pop("timestamp", str(int(time.time())))
        signed = headers.pop("signature", None) or signature(stamp, body)
        sent = {"Flywheel-Timestamp": stamp, "Flywheel-Signature": signed, "Idempotency-Key": key}
        return httpx.post(self.url + path, content=body, headers=sent, timeout=20)

    @property
    def kept(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in httpx.get(self.url + PATH).text.splitlines()]


def accepts(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Application]:
    file, port = tmp_path_factory.mktemp("application") / "events.jsonl", free_port()
    command = [
        sys.executable,
        "-m",
        "include.local_stack.application",
        "--port",
        str(port),
        "--file",
        str(file),
    ]
    running = subprocess.Popen(
        command, env={**os.environ, "APPLICATION_SECRET": SECRET}, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 20
    while not accepts(port):
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield Application(f"http://127.0.0.1:{port}", file)
    running.kill()
    running.wait()


@pytest.fixture
def application(process: Application) -> Application:
    process.file.unlink(missing_ok=True)
    return process


def body(event: object = EVENT) -> bytes:
    return json.dumps(event, ensure_ascii=False).encode()


def test_a_signed_event_is_kept(application: Application) -> None:
    answer = application.post(body())
    assert (answer.status_code, answer.json()) == (200, {"received": True, "known_already": False})
    assert application.kept == [{"idempotency_key": "event-1", "event": EVENT}]


def test_a_repeat_is_delivered_and_kept_once(application: Application) -> None:
    application.post(body())
    again = application.post(body({"event": "changed"}))
    assert (again.status_code, again.json()) == (200, {"received": True, "known_already": True})
    application.post(body(), key="event-2")
    assert [one["idempotency_key"] for one in application.kept] == ["event-1", "event-2"]
    assert application.kept[0]["event"] == EVENT


NOW = str(int(time.time()))
WRONG = [
    {"signature": "v1=" + "0" * 64},
    {"signature": signature(NOW, body(), "another secret"), "timestamp": NOW},
    {"signature": signature(NOW, body({"event": "forged"})), "timestamp": NOW},
    {"signature": signature(NOW, body()).removeprefix("v1="), "timestamp": NOW},
]


@pytest.mark.parametrize("headers", WRONG)
def test_a_wrong_signature_is_refused(application: Application, headers: dict[str, str]) -> None:
    answer = application.post(body(), **headers)
    assert answer.status_code == 401
    assert "Flywheel-Signature" in answer.json()["error"]
    assert application.kept == []


@pytest.mark.parametrize("shift", [-MAX_AGE_SECONDS - 30, MAX_AGE_SECONDS + 30])
def test_a_timestamp_that_is_far_off_is_refused_though_signed(application: Application, shift: int) -> None:
    answer = application.post(body(), timestamp=str(int(time.time()) + shift))
    assert (answer.status_code, application.kept) == (401, [])
    assert "Flywheel-Timestamp" in answer.json()["error"]


@pytest.mark.parametrize("stamp", ["", "now", "-1", "1e9", "²", "9" * 5000])
def test_a_timestamp_that_is_no_number_is_refused(stamp: str) -> None:
    assert refusal(SECRET, stamp, "v1=x", b"{}", time.time()) is not None


def test_a_signature_in_another_script_is_refused() -> None:
    assert refusal(SECRET, NOW, "v1=ünï", b"{}", float(NOW)) is not None


def test_a_body_that_is_too_large_is_refused_and_the_client_sees_it(application: Application) -> None:
    assert application.post(b"x" * (MAX_BODY_BYTES + 1)).status_code == 413
    # More than the sockets' buffers hold: this client would not see an answer before the end of its body.
    plain = HTTPConnection(urlsplit(application.url).netloc, timeout=20)
    plain.request("POST", PATH, body=b"x" * (12 * MAX_BODY_BYTES))
    assert plain.getresponse().status == 413
    plain.close()
    large = body({"text": "x" * (MAX_BODY_BYTES - 12)})
    assert len(large) == MAX_BODY_BYTES
    assert application.post(large).status_code == 200


def test_what_is_no_event_is_refused_though_signed(application: Application) -> None:
    assert application.post(b"not json").status_code == 400
    assert application.post(b"[]").status_code == 400
    assert application.post(body(), key="").status_code == 400
    assert application.post(b"").status_code == 411
    assert application.post(body(), path="/elsewhere").status_code == 404
    assert httpx.get(application.url + "/elsewhere").status_code == 404
    assert application.kept == []


def test_it_takes_what_the_flywheel_sends(application: Application) -> None:
    payload = {"event_id": "e" * 24, "event": "run_completed", "occurred_at": "2026-01-01T00:00:00Z"}
    with httpx.Client() as client:
        assert deliver(application.url + PATH, payload, SECRET, client).delivered
        refused = deliver(application.url + PATH, payload, "another secret", client, attempts=1)
    assert (refused.delivered, refused.status) == (False, 401)
    [kept] = application.kept
    assert kept["event"] == payload

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from include.nemo import (
    NO_RETRIES,
    NemoClient,
    NemoUrls,
    RetryPolicy,
    datastore,
    entities,
    evaluator,
    inference,
)
from include.nemo.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NemoError,
    NotEnoughResources,
    NotFound,
    RateLimited,
    ServerError,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
    Unreadable,
)

JOB = {"id": "eval-1", "status": "running"}
READ = evaluator.get_job("eval-1")
CREATE = evaluator.create_job(namespace="ns", config="ns/c", target={"type": "model", "model": "m"})


def test_the_token_goes_into_the_header_and_nowhere_else(client: Any, wire: Any) -> None:
    wire.will(httpx.Response(401, json={"detail": "token nvapi-very-secret is not valid"}))
    with pytest.raises(Unauthorized) as refusal:
        client.send(READ)
    assert wire.requests[0].headers["authorization"] == "Bearer nvapi-very-secret"
    assert "nvapi" not in str(refusal.value)
    assert "password of the `nemo` connection" in str(refusal.value)


def test_without_a_token_no_header_is_sent(urls: NemoUrls, wire: Any) -> None:
    wire.will(JOB)
    with NemoClient(urls, transport=httpx.MockTransport(wire.handle)) as client:
        client.send(READ)
    assert "authorization" not in wire.requests[0].headers


@pytest.mark.parametrize(
    ("status", "detail", "kind"),
    [
        (400, "bad", Invalid),
        (401, "who", Unauthorized),
        (403, "no", Forbidden),
        (404, "gone", NotFound),
        (409, "taken", Conflict),
        (418, "teapot", Invalid),
        (429, "slow down", RateLimited),
        (500, "oops", ServerError),
        (500, "model deployment already exists", Conflict),
        (503, "NotEnoughResources: 0/3 nodes", NotEnoughResources),
        (507, "full", NotEnoughResources),
    ],
)
def test_a_status_becomes_its_error(
    client: Any, wire: Any, status: int, detail: str, kind: type[NemoError]
) -> None:
    wire.will(httpx.Response(status, json={"detail": detail}))
    with pytest.raises(NemoError) as raised:
        client.send(CREATE)
    assert type(raised.value) is kind
    assert raised.value.status == status
    assert raised.value.service == "Evaluator"
    for part in ("Evaluator", "create evaluation job", "nemo.test", str(status), detail, raised.value.remedy):
        assert part in str(raised.value)


def test_a_422_names_its_fields(client: Any, wire: Any) -> None:
    entry = {"loc": ["body", "config", "type"], "msg": "Field required", "type": "missing"}
    wire.will(httpx.Response(422, json={"detail": [entry]}))
    with pytest.raises(Invalid, match=r"body\.config\.type: Field required"):
        client.send(CREATE)


def test_a_long_page_is_cut(client: Any, wire: Any) -> None:
    wire.will(httpx.Response(502, text="<html>" + "x" * 10_000))
    with pytest.raises(ServerError) as raised:
        client.send(CREATE)
    assert len(str(raised.value)) < 600


@pytest.mark.parametrize(
    "failure",
    [
        httpx.ReadTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("peer closed connection without sending complete message body"),
        httpx.Response(500, json={"detail": "oops"}),
        httpx.Response(503, text="<html>starting</html>"),
        httpx.Response(200, text="<html>a proxy's page</html>"),
        httpx.Response(200, text='{"id": "eval-1", "sta'),
    ],
    ids=lambda failure: failure.__class__.__name__,
)
def test_a_passing_failure_is_repeated_only_where_that_is_safe(client: Any, wire: Any, failure: Any) -> None:
    wire.will(failure, failure, JOB)
    assert client.send(READ).id == "eval-1"
    assert len(wire.requests) == 3

    wire.requests.clear()
    wire.will(failure, JOB)
    with pytest.raises(NemoError) as raised:
        client.send(CREATE)
    assert raised.value.transient
    assert len(wire.requests) == 1


@pytest.mark.parametrize(
    "failure", [httpx.ConnectError("refused"), httpx.ConnectTimeout("late"), httpx.Response(429)]
)
def test_what_was_never_taken_on_is_repeated_even_for_a_create(client: Any, wire: Any, failure: Any) -> None:
    wire.will(failure, JOB)
    assert client.send(CREATE).id == "eval-1"
    assert len(wire.requests) == 2


def test_tries_and_waits_are_bounded_and_jittered(client: Any, wire: Any) -> None:
    wire.will(httpx.ConnectError("refused"))
    with pytest.raises(Unreachable) as raised:
        client.send(READ)
    assert len(wire.requests) == 3
    assert 0.25 <= wire.waits[0] <= 0.5
    assert 0.5 <= wire.waits[1] <= 1.0
    assert raised.value.status is None


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"retry-after": "7"}, 7.0, 7.0),
        ({"retry-after-ms": "1500"}, 1.5, 1.5),
        ({"retry-after": "a date in 40 s"}, 20, 40),
        ({"retry-after": "soon"}, 0.25, 0.5),
    ],
)
def test_retry_after_is_kept_to(
    client: Any, wire: Any, headers: dict[str, str], least: float, most: float
) -> None:
    # Made now: the test may run long after it was collected.
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)
    headers = {name: date if value == "a date in 40 s" else value for name, value in headers.items()}
    wire.will(httpx.Response(503, headers=headers), JOB)
    client.send(READ)
    assert least <= wire.waits[0] <= most


def test_a_long_retry_after_is_left_to_the_caller(client: Any, wire: Any) -> None:
    wire.will(httpx.Response(429, headers={"retry-after": "3600"}), JOB)
    with pytest.raises(RateLimited) as raised:
        client.send(READ)
    assert raised.value.retry_after_seconds == 3600
    assert wire.waits == []


def test_wrong_types_are_not_repeated(client: Any, wire: Any) -> None:
    wire.will({"id": "eval-1", "status": {"phase": "running"}})
    with pytest.raises(UnexpectedAnswer, match="does not fit the contract") as raised:
        client.send(READ)
    assert type(raised.value) is UnexpectedAnswer
    assert len(wire.requests) == 1


@pytest.mark.parametrize("body", [[], "text", 3, None, {"data": None}])
def test_a_list_that_is_none_is_unexpected(client: Any, wire: Any, body: Any) -> None:
    wire.will(httpx.Response(200, json=body))
    with pytest.raises(UnexpectedAnswer):
        client.send(inference.list_models())


@pytest.mark.parametrize("answer", [httpx.Response(204), httpx.Response(200, json={"message": "ok"})])
def test_a_delete_may_answer_anything(client: Any, wire: Any, answer: httpx.Response) -> None:
    wire.will(answer)
    assert client.send(evaluator.delete_job("eval-1")) is None


def test_ensure_takes_what_exists(client: Any, wire: Any) -> None:
    wire.will(httpx.Response(422, json={"detail": "already exists"}), {"id": "ns"})
    found = client.ensure(entities.create_namespace("ns"), entities.get_namespace("ns"))
    assert found.id == "ns"
    assert [request.method for request in wire.requests] == ["POST", "GET"]


def test_ensure_tells_why_it_was_refused_when_nothing_exists(client: Any, wire: Any) -> None:
    wire.will(httpx.Response(422, json={"detail": "name too long"}), httpx.Response(404))
    with pytest.raises(Invalid, match="name too long"):
        client.ensure(entities.create_namespace("ns"), entities.get_namespace("ns"))


def test_ensure_repeats_a_create_whose_answer_was_lost(client: Any, wire: Any) -> None:
    wire.will(httpx.ReadTimeout("lost"), httpx.Response(409), {"id": "ns"})
    assert client.ensure(entities.create_namespace("ns"), entities.get_namespace("ns")).id == "ns"


def test_a_timeout_of_zero_is_refused(urls: NemoUrls) -> None:
    with pytest.raises(ValueError, match="timeout_seconds is 0"):
        NemoClient(urls, timeout_seconds=0)


def test_a_call_may_take_longer_than_the_client(client: Any, wire: Any) -> None:
    wire.will({"choices": [{"message": {"content": "hi"}}]})
    client.send(inference.chat(model="m", messages=[], timeout_seconds=90))
    assert wire.requests[0].extensions["timeout"] == {"connect": 10.0, "read": 90, "write": 90, "pool": 90}


class CutOff(threading.Thread):
    """A server that promises 100 bytes and hangs up after 10, `times` times; then keeps its promise."""

    def __init__(self, times: int) -> None:
        super().__init__(daemon=True)
        self.left = times
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                whole = self.left <= 0
                self.left -= 1
                head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n"
                connection.sendall(head + (b"z" * 100 if whole else b"z" * 10))


@pytest.fixture
def cut_off(request: pytest.FixtureRequest) -> Iterator[CutOff]:
    server = CutOff(request.param)
    server.start()
    yield server
    server.listener.close()


def _downloader(server: CutOff, retries: RetryPolicy) -> NemoClient:
    urls = NemoUrls(server.url, server.url, server.url)
    return NemoClient(urls, timeout_seconds=5, retries=retries, sleep=lambda _: None)


@pytest.mark.parametrize("cut_off", [2], indirect=True)
def test_a_download_that_is_cut_off_is_begun_again(cut_off: CutOff, tmp_path: Path) -> None:
    with _downloader(cut_off, RetryPolicy(tries=3)) as client:
        size = client.download(datastore.download_file("ns/d", "a.jsonl"), tmp_path / "a.jsonl")
    assert size == 100
    assert (tmp_path / "a.jsonl").read_bytes() == b"z" * 100


@pytest.mark.parametrize("cut_off", [9], indirect=True)
def test_a_download_is_whole_or_absent(cut_off: CutOff, tmp_path: Path) -> None:
    with _downloader(cut_off, NO_RETRIES) as client, pytest.raises(Unreachable):
        client.download(evaluator.download_results("eval-1"), tmp_path / "results.zip")
    assert list(tmp_path.iterdir()) == []


def test_a_download_names_the_error_status(sync_client: NemoClient, wire: Any, tmp_path: Path) -> None:
    wire.will(httpx.Response(404, json={"detail": "no results yet"}))
    with pytest.raises(NotFound, match="no results yet"):
        sync_client.download(evaluator.download_results("eval-1"), tmp_path / "results.zip")


def test_a_refused_connection_names_the_host(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with (
        NemoClient(NemoUrls(url, url, url), retries=NO_RETRIES) as client,
        pytest.raises(Unreachable, match=f"127.0.0.1:{port}") as raised,
    ):
        client.send(READ)
    assert raised.value.sent is False


def test_unreadable_shows_the_beginning_of_the_page(client: Any, wire: Any) -> None:
    wire.will(httpx.Response(200, text="<html>Welcome to nginx</html>"))
    with pytest.raises(Unreadable, match="Welcome to nginx"):
        client.send(CREATE)

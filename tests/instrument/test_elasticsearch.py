"""The Elasticsearch sink against a server that behaves well and badly: what is sent is stored once."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from include.instrument import ElasticsearchSink, Line, Recorder, Settings, Stats

LINES = [Line(f"id-{number}", 1_767_600_000_000, b'{"n":%d}' % number) for number in range(3)]


class Index:
    """What a cluster does with `_bulk`: creates by id, answers 409 to what it has."""

    def __init__(self, send: Callable[..., None]) -> None:
        self._send = send
        self.documents: dict[str, Any] = {}
        self.items: dict[str, list[int]] = {}
        self.statuses: list[int] = []
        self.silent_after_storing = 0

    def __call__(self, asked: Any, handler: Any) -> None:
        if self.statuses:
            return self._send(handler, self.statuses.pop(0), b'{"error": {"type": "some_exception"}}')
        rows = [json.loads(row) for row in asked.body.splitlines()]
        items = [
            {"create": self._create(action["create"]["_id"], document)}
            for action, document in zip(rows[::2], rows[1::2], strict=True)
        ]
        if self.silent_after_storing:
            self.silent_after_storing -= 1
            handler.close_connection = True
            return None
        return self._send(handler, 200, json.dumps({"errors": True, "items": items}).encode())

    def _create(self, name: str, document: Any) -> dict[str, Any]:
        status = self.items[name].pop(0) if self.items.get(name) else 409 if name in self.documents else 201
        if status == 201:
            self.documents[name] = document
        return {"status": status, **({} if status < 300 else {"error": {"type": f"type_{status}"}})}


@pytest.fixture
def index(server: Any, send_answer: Callable[..., None]) -> Index:
    server.answer = Index(send_answer)
    return server.answer


def states(sink: ElasticsearchSink, lines: list[Line] = LINES) -> list[str]:
    return [outcome.state for outcome in sink.write(lines)]


def test_documents_are_created_over_one_connection(server: Any, index: Index) -> None:
    sink = ElasticsearchSink(f"{server.url}/prefix/", index="my logs", api_key="k3y")
    assert states(sink) == states(sink) == ["written"] * 3
    assert list(index.documents.values()) == [{"n": 0}, {"n": 1}, {"n": 2}]
    asked = server.asked[0]
    assert asked.path.startswith("/prefix/my%20logs/_bulk?")
    assert asked.headers["Content-Type"] == "application/x-ndjson"
    assert asked.headers["Authorization"] == "ApiKey k3y"
    sink.close()
    assert states(sink) == ["written"] * 3


@pytest.mark.parametrize("in_url", [False, True])
def test_basic_authentication(server: Any, index: Index, in_url: bool) -> None:
    given: dict[str, str] = {} if in_url else {"username": "u", "password": "p@s"}
    url = server.url.replace("//", "//u:p%40s@") if in_url else server.url
    sink = ElasticsearchSink(url, **given)
    states(sink)
    assert server.asked[0].headers["Authorization"] == f"Basic {base64.b64encode(b'u:p@s').decode()}"
    assert "p@s" not in repr(sink)
    assert "p%40s" not in repr(sink)


def test_each_item_has_its_own_outcome(server: Any, index: Index) -> None:
    index.items = {"id-0": [429], "id-1": [400]}
    first, second, third = ElasticsearchSink(server.url).write(LINES)
    assert (first.state, second.state, third.state) == ("retry", "refused", "written")
    assert second.detail == "HTTP 400 type_400"


@pytest.mark.parametrize(
    ("status", "state"), [(429, "retry"), (503, "retry"), (401, "retry"), (404, "retry"), (400, "refused")]
)
def test_a_whole_request_is_turned_away(server: Any, index: Index, status: int, state: str) -> None:
    index.statuses = [status]
    assert states(ElasticsearchSink(server.url)) == [state] * 3
    assert index.documents == {}


def test_what_is_too_large_is_halved(server: Any, index: Index, send_answer: Callable[..., None]) -> None:
    def answer(asked: Any, handler: Any) -> None:
        if asked.body.count(b"\n") > 2 or b'"n":1' in asked.body:
            send_answer(handler, 413, b"")
        else:
            index(asked, handler)

    server.answer = answer
    assert states(ElasticsearchSink(server.url)) == ["written", "refused", "written"]
    assert list(index.documents) == ["id-0", "id-2"]


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b'{"items": [{}]}', b'{"items": [{}, 5, {"create": {}}]}']
)
def test_an_answer_that_accounts_for_nothing_is_no_success(
    server: Any, body: bytes, send_answer: Callable[..., None]
) -> None:
    server.answer = lambda asked, handler: send_answer(handler, 200, body)
    assert states(ElasticsearchSink(server.url)) == ["retry"] * 3


def test_an_address_that_is_none_is_refused_without_quoting_it() -> None:
    with pytest.raises(ValueError, match="http") as raised:
        ElasticsearchSink("user:secret@host:9200")
    assert "secret" not in str(raised.value)


def test_a_connection_that_the_server_closed_is_opened_again(
    server: Any, index: Index, send_answer: Callable[..., None]
) -> None:
    def answer(asked: Any, handler: Any) -> None:
        index(asked, handler)
        handler.close_connection = True

    server.answer = answer
    sink = ElasticsearchSink(server.url)
    assert states(sink) == states(sink) == ["written"] * 3


def recorded(recorder: Recorder, count: int) -> None:
    for number in range(count):
        recorder.record(request={"input": str(number)})


def test_a_lost_answer_stores_nothing_twice(
    recorders: Callable[..., Recorder], server: Any, index: Index
) -> None:
    index.silent_after_storing = 2
    recorder = recorders(ElasticsearchSink(server.url))
    recorded(recorder, 5)
    assert recorder.flush()
    assert len(server.asked) >= 3
    assert sorted(document["request"]["input"] for document in index.documents.values()) == list("01234")
    assert recorder.stats() == Stats(5, 5, {}, 0)


def test_a_slow_cluster_is_tried_again(
    recorders: Callable[..., Recorder], server: Any, index: Index, send_answer: Callable[..., None]
) -> None:
    def answer(asked: Any, handler: Any) -> None:
        if len(server.asked) == 1:
            handler.connection.recv(1)  # Answers nothing until the client has hung up.
            handler.close_connection = True
        else:
            index(asked, handler)

    server.answer = answer
    recorder = recorders(ElasticsearchSink(server.url, timeout_seconds=0.1))
    recorded(recorder, 1)
    assert recorder.flush()
    assert recorder.stats() == Stats(1, 1, {}, 0)


def test_a_cluster_that_comes_back_gets_everything(
    recorders: Callable[..., Recorder],
    serving: Callable[[int], Any],
    free_port: Callable[[], int],
    send_answer: Callable[..., None],
) -> None:
    """Refused connections first, then 503, then busy items, then all is well."""
    port = free_port()
    settings = Settings(
        batch_seconds=0.01, retry_first_seconds=0.01, retry_max_seconds=0.02, batch_records=10
    )
    recorder = recorders(ElasticsearchSink(f"http://127.0.0.1:{port}"), settings=settings)
    recorded(recorder, 30)
    assert not recorder.flush(0.1)
    assert recorder.stats().waiting == 30
    index = Index(send_answer)
    index.statuses = [503, 429, 503]
    serving(port).answer = index
    assert recorder.flush()
    assert len(index.documents) == 30
    assert recorder.stats() == Stats(30, 30, {}, 0)


def test_keys_are_in_no_log(
    recorders: Callable[..., Recorder], server: Any, index: Index, caplog: pytest.LogCaptureFixture
) -> None:
    index.statuses = [401] * 1000
    settings = Settings(batch_seconds=0.01, retry_first_seconds=0.01, give_up_seconds=0.05)
    recorder = recorders(ElasticsearchSink(server.url, api_key="k3y-of-mine"), settings=settings)
    recorded(recorder, 1)
    assert recorder.flush()
    assert recorder.stats().dropped == {"sink_failed": 1}
    assert "HTTP 401" in caplog.text
    assert "k3y-of-mine" not in caplog.text + repr(recorder)

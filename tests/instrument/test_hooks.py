"""The httpx hooks against a real server: the application reads as ever, and what passed is recorded."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from include.instrument import Recorder, Settings, Stats

ASK = {"model": "big", "messages": [{"role": "user", "content": "Hi"}]}
PATH = "/v1/chat/completions"


def event_stream(chunks: list[Any], *, done: bool = True) -> bytes:
    """The chunks as server-sent events."""
    events = [f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n" for chunk in chunks]
    return "".join([": hello\n\n", *events, "data: [DONE]\n\n" if done else ""]).encode()


@pytest.fixture
def client(recorder: Recorder, server: Any) -> httpx.Client:
    return httpx.Client(base_url=server.url, event_hooks=recorder.httpx_hooks(session_id="s-1"))


@pytest.fixture
def async_client(recorder: Recorder, server: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.url, event_hooks=recorder.httpx_hooks())


@pytest.fixture
def answering(server: Any, send_answer: Callable[..., None]) -> Callable[..., None]:
    """Has the server answer every request alike."""

    def answer(status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        server.answer = lambda asked, handler: send_answer(handler, status, body, kind, **headers)

    return answer


@pytest.mark.parametrize("zipped", [False, True])
def test_a_call_is_recorded(
    client: httpx.Client, recorder: Recorder, sink: Any, answering: Any, completion: Any, zipped: bool
) -> None:
    body = json.dumps(completion).encode()
    answering(
        200, gzip.compress(body) if zipped else body, **({"Content_Encoding": "gzip"} if zipped else {})
    )
    assert client.post(PATH, json=ASK).json() == completion
    assert recorder.flush()
    [record] = sink.documents
    assert record["request"] == ASK
    assert record["response"] == completion
    assert (record["tokens_in"], record["tokens_out"], record["session_id"]) == (7, 2, "s-1")


async def test_an_async_call(
    async_client: httpx.AsyncClient, recorder: Recorder, sink: Any, answering: Any, completion: Any
) -> None:
    answering(200, json.dumps(completion).encode())
    with recorder.tags(trace_id="t-1"):
        answer = await async_client.post(PATH, json=ASK)
    assert answer.json() == completion
    assert recorder.flush()
    assert sink.documents[0]["response"] == completion
    assert sink.documents[0]["trace_id"] == "t-1"


def test_other_requests_are_not_looked_at(client: httpx.Client, recorder: Recorder, answering: Any) -> None:
    answering(200, b"{}")
    client.post("/v1/completions", json=ASK)
    client.post("/v1/files", content=iter([b"streamed"]))
    assert recorder.stats().recorded == 0


def test_a_stream_passes_while_it_is_read(
    client: httpx.Client, recorder: Recorder, sink: Any, chunks: list[Any], assembled: Any, server: Any
) -> None:
    """The server sends its second half only after the client has read the first: nothing is held back."""
    body = event_stream(chunks)
    half = len(body) // 2
    read = []

    def answer(asked: Any, handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(body[:half])
        assert first_half_read.wait(5)
        handler.wfile.write(body[half:])
        handler.close_connection = True

    first_half_read = threading.Event()
    server.answer = answer
    with client.stream("POST", PATH, json={**ASK, "stream": True}) as response:
        for piece in response.iter_raw():
            read.append(piece)
            if sum(map(len, read)) >= half:
                first_half_read.set()
    assert b"".join(read) == body
    assert recorder.flush()
    [record] = sink.documents
    assert record["response"]["choices"][0]["message"] == assembled
    assert record["tokens_out"] == 5
    assert "error" not in record


async def test_an_async_stream_line_by_line(
    async_client: httpx.AsyncClient,
    recorder: Recorder,
    sink: Any,
    chunks: list[Any],
    assembled: Any,
    answering: Any,
) -> None:
    answering(200, event_stream(chunks), "text/event-stream; charset=utf-8")
    async with async_client.stream("POST", PATH, json=ASK) as response:
        # A client of the API stops at [DONE] and closes.
        async for line in response.aiter_lines():
            if line == "data: [DONE]":
                break
    assert recorder.flush()
    assert sink.documents[0]["response"]["choices"][0]["message"] == assembled
    assert "error" not in sink.documents[0]


def test_a_stream_that_nobody_reads_is_counted(
    client: httpx.Client, recorder: Recorder, chunks: list[Any], answering: Any
) -> None:
    answering(200, event_stream(chunks), "text/event-stream")
    with client.stream("POST", PATH, json=ASK):
        pass
    assert recorder.flush()
    stats = recorder.stats()
    assert (stats.recorded, stats.written, stats.dropped) == (1, 0, {"response_not_read": 1})


def test_an_answer_that_is_left_half_read_is_counted(
    client: httpx.Client, recorder: Recorder, answering: Any, completion: Any
) -> None:
    answering(200, b" " * 1_000_000 + json.dumps(completion).encode())
    with client.stream("POST", PATH, json=ASK) as response:
        assert next(response.iter_raw(10)) == b" " * 10
    assert recorder.flush()
    assert recorder.stats() == Stats(1, 0, {"response_not_read": 1}, 0)


@pytest.mark.parametrize(
    ("status", "body", "kind", "error"),
    [
        (429, b'{"error": {"message": "slow down"}}', "application/json", "HTTP 429: slow down"),
        (502, b"<html>bad gateway</html>", "text/html", "HTTP 502: <html>bad gateway</html>"),
        (200, b"not JSON", "application/json", "the answer is no JSON object"),
        (200, event_stream([], done=False), "text/event-stream", "the stream ended without a finish_reason"),
        (200, event_stream([{"error": {"message": "broke"}}]), "text/event-stream", "broke"),
    ],
)
def test_an_error_is_recorded_without_a_response(
    client: httpx.Client,
    recorder: Recorder,
    sink: Any,
    answering: Any,
    status: int,
    body: bytes,
    kind: str,
    error: str,
) -> None:
    answering(status, body, kind)
    assert client.post(PATH, json=ASK).content == body
    assert recorder.flush()
    [record] = sink.documents
    assert record["error"] == error
    assert "response" not in record


def test_a_connection_that_breaks_in_the_middle(
    client: httpx.Client, recorder: Recorder, sink: Any, server: Any
) -> None:
    def answer(asked: Any, handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"id": ')
        handler.close_connection = True

    server.answer = answer
    with pytest.raises(httpx.RemoteProtocolError):
        client.post(PATH, json=ASK)
    assert recorder.flush()
    assert sink.documents[0]["error"].startswith("RemoteProtocolError")


def test_a_redirect_is_one_call(
    recorder: Recorder, sink: Any, server: Any, completion: Any, send_answer: Any
) -> None:
    def answer(asked: Any, handler: Any) -> None:
        if asked.path == PATH:
            send_answer(handler, 307, b"", Location=f"/v2{PATH}")
        else:
            send_answer(handler, 200, json.dumps(completion).encode())

    server.answer = answer
    hooks = recorder.httpx_hooks()
    with httpx.Client(base_url=server.url, event_hooks=hooks, follow_redirects=True) as client:
        assert client.post(PATH, json=ASK).json() == completion
    assert recorder.flush()
    assert [record["response"] for record in sink.documents] == [completion]


def test_embeddings_are_recorded_without_their_vectors(
    client: httpx.Client, recorder: Recorder, sink: Any, answering: Any
) -> None:
    answer = {
        "object": "list",
        "model": "e",
        "data": [{"embedding": [0.5] * 9}],
        "usage": {"prompt_tokens": 3},
    }
    answering(200, json.dumps(answer).encode())
    assert client.post("/v1/embeddings", json={"model": "e", "input": "a", "user": "u"}).json() == answer
    assert recorder.flush()
    assert sink.documents[0]["request"] == {"model": "e", "input": "a"}
    assert sink.documents[0]["response"] == {"object": "list", "model": "e", "usage": {"prompt_tokens": 3}}


def test_a_streamed_request_is_sent_and_counted(
    client: httpx.Client, recorder: Recorder, server: Any, answering: Any, completion: Any
) -> None:
    answering(200, json.dumps(completion).encode())
    assert client.post(PATH, content=iter([json.dumps(ASK).encode()])).json() == completion
    assert recorder.stats().dropped == {"request_not_readable": 1}


def test_a_large_answer_is_counted_and_not_kept(
    recorders: Callable[..., Recorder], sink: Any, server: Any, answering: Any
) -> None:
    recorder = recorders(sink, settings=Settings(max_record_bytes=1000))
    answering(200, b" " * 100_000)
    with httpx.Client(base_url=server.url, event_hooks=recorder.httpx_hooks()) as client:
        assert len(client.post(PATH, json=ASK).content) == 100_000
    assert recorder.stats().dropped == {"too_large": 1}


def test_redact_sees_the_document_before_it_is_queued(
    recorders: Callable[..., Recorder], sink: Any, server: Any, answering: Any, completion: Any
) -> None:
    def redact(record: dict[str, Any]) -> dict[str, Any]:
        record["request"]["messages"][0]["content"] = "***"
        return record

    recorder = recorders(sink, redact=redact)
    answering(200, json.dumps(completion).encode())
    with httpx.Client(base_url=server.url, event_hooks=recorder.httpx_hooks()) as client:
        client.post(PATH, json=ASK)
    assert recorder.flush()
    assert sink.documents[0]["request"]["messages"] == [{"role": "user", "content": "***"}]

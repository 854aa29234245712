"""Streamed chats over a wire that cuts, lies and falls silent; both clients read them alike."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.nemo import AsyncNemoClient, NemoClient, NemoUrls
from include.nemo.errors import NotFound, ServerError, UnexpectedAnswer, Unreachable, Unreadable
from include.nemo.events import message_of
from include.nemo.inference import chat_stream
from include.nemo.nim_models import ChatChunk

ASK = chat_stream(model="m", messages=[{"role": "user", "content": "?"}], timeout_seconds=5.0)
DONE = b"data: [DONE]\n\n"
WAIT = b"<fall silent>"


def chunk(**delta: Any) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}


def event(body: Any) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


class Nim(BaseHTTPRequestHandler):
    """Writes what the test has put down, piece by piece, and closes."""

    server: Any

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((body, self.headers["Accept"]))
        self.send_response(self.server.status)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for piece in self.server.pieces:
            if piece == WAIT:
                self.server.go_on.wait(10)
                continue
            try:
                self.wfile.write(piece)
            except OSError:
                self.server.left.set()


@pytest.fixture
def nim() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Nim)
    server.daemon_threads, server.status, server.pieces, server.asked = True, 200, [], []
    server.go_on, server.left = threading.Event(), threading.Event()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.go_on.set()
    server.shutdown()
    server.server_close()


@pytest.fixture(params=["sync", "async"])
def read(request: pytest.FixtureRequest, nim: Any) -> Any:
    """`read(stream)`: all its chunks."""
    url = f"http://127.0.0.1:{nim.server_port}"
    urls = NemoUrls(url, url, url)

    def waiting(stream: Any) -> list[ChatChunk]:
        with NemoClient(urls) as nemo:
            return list(nemo.stream(stream))

    def awaiting(stream: Any) -> list[ChatChunk]:
        async def all_chunks() -> list[ChatChunk]:
            async with AsyncNemoClient(urls) as nemo:
                return [chunk async for chunk in nemo.stream(stream)]

        return asyncio.run(all_chunks())

    return waiting if request.param == "sync" else awaiting


def test_the_pieces_of_an_answer(nim: Any, read: Any) -> None:
    """Comments, empty lines, other line ends, fields that nobody knows and torn packets are all in order."""
    first = event(chunk(role="assistant", content=""))
    nim.pieces = [
        b": hello\n\n\n",
        first[:20],
        first[20:],
        b"id: 7\r\nretry: 5\r\n" + event(chunk(content="Grüß")).replace(b"\n", b"\r\n"),
        event(chunk(content=" Gott")),
        event({"choices": [], "usage": {"total_tokens": 9}}),
        DONE,
        event(chunk(content="after the end")),
    ]
    chunks = read(ASK)
    assert message_of(chunks).content == "Grüß Gott"
    assert chunks[-1].usage.total_tokens == 9
    body, accept = nim.asked[0]
    assert (body["stream"], body["model"], accept) == (True, "m", "text/event-stream")


@pytest.mark.parametrize(
    ("pieces", "error", "words"),
    [
        ([event(chunk(content="half"))], Unreadable, "the stream ends before"),
        ([], Unreadable, "the stream ends before"),
        ([b'data: {"choices": [\n\n', DONE], Unreadable, "not JSON"),
        ([event({"error": {"message": "CUDA out of memory"}}), DONE], ServerError, "CUDA out of memory"),
        ([b'event: error\ndata: {"message": "gone"}\n\n'], ServerError, "gone"),
        ([event({"choices": "none"}), DONE], UnexpectedAnswer, "does not fit the contract"),
        ([event([1]), DONE], UnexpectedAnswer, "does not fit the contract"),
    ],
)
def test_a_stream_that_goes_wrong_is_a_named_error(
    nim: Any, read: Any, pieces: list[bytes], error: type[Exception], words: str
) -> None:
    nim.pieces = pieces
    with pytest.raises(error, match=f"ask m, streamed.*{words}"):
        read(ASK)
    assert len(nim.asked) == 1


def test_a_refusal_is_the_error_of_its_status(nim: Any, read: Any) -> None:
    nim.status, nim.pieces = 404, [b'{"error": {"message": "The model `m` does not exist"}}']
    with pytest.raises(NotFound, match=r"HTTP 404\): The model `m` does not exist\. Check"):
        read(ASK)


def test_silence_ends_at_the_limit(nim: Any, read: Any) -> None:
    nim.pieces = [event(chunk(content="half")), WAIT]
    stream = chat_stream(model="m", messages=[], timeout_seconds=0.2)
    with pytest.raises(Unreachable, match="streamed"):
        read(stream)


def test_leaving_a_stream_closes_its_connection(nim: Any) -> None:
    nim.pieces = [event(chunk(content="a")), WAIT, *[event(chunk(content="b" * 1000))] * 5000]
    url = f"http://127.0.0.1:{nim.server_port}"
    with NemoClient(NemoUrls(url, url, url)) as nemo:
        pieces = nemo.stream(ASK)
        assert next(pieces).choices[0].delta.content == "a"
        pieces.close()
        nim.go_on.set()
        assert nim.left.wait(10)


CALLS = st.lists(st.tuples(st.text(min_size=1), st.dictionaries(st.text(), st.integers())), max_size=3)


@given(CALLS, st.integers(1, 9))
def test_calls_are_whole_again_however_they_were_cut(calls: list[Any], size: int) -> None:
    chunks = []
    for index, (name, arguments) in enumerate(calls):
        text = json.dumps(arguments)
        begin = {"index": index, "id": f"call-{index}", "function": {"name": name, "arguments": ""}}
        pieces = [
            {"index": index, "function": {"arguments": text[start : start + size]}}
            for start in range(0, len(text), size)
        ]
        chunks += [ChatChunk.model_validate(chunk(tool_calls=[piece])) for piece in (begin, *pieces)]
    message = message_of(chunks)
    found = [(call.function.name, json.loads(str(call.function.arguments))) for call in message.tool_calls]
    assert found == calls
    assert [call.id for call in message.tool_calls] == [f"call-{index}" for index in range(len(calls))]

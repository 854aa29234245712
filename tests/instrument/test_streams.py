"""Streams through a wrapped client: the application reads them as ever, the record is the whole answer."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from include.instrument import Recorder, Settings, log_calls

ASK: dict[str, Any] = {"model": "big", "messages": [{"role": "user", "content": "Hi"}], "stream": True}


class Stream:
    """As an SDK's stream: an iterator, a context manager, with a `close` and a `response`."""

    def __init__(self, chunks: list[Any]) -> None:
        self.response, self.closed, self._chunks = "raw", 0, iter(chunks)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        chunk = next(self._chunks)
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *raised: Any) -> None:
        self.close()

    def close(self) -> None:
        self.closed += 1


class AsyncStream:
    """The same for asyncio."""

    def __init__(self, chunks: list[Any]) -> None:
        self.response, self.closed, self._chunks = "raw", 0, iter(chunks)

    async def __aiter__(self) -> AsyncIterator[Any]:
        for chunk in self._chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    async def close(self) -> None:
        self.closed += 1

    async def __aenter__(self) -> AsyncStream:
        return self

    async def __aexit__(self, *raised: Any) -> None:
        await self.close()


def client_of(create: Callable[..., Any]) -> Any:
    return SimpleNamespace(chat=SimpleNamespace(completions=SimpleNamespace(create=create)))


def asked(recorder: Recorder, stream: Any) -> Any:
    """The stream that a wrapped client hands out instead of `stream`."""
    return log_calls(client_of(lambda **kwargs: stream), recorder).chat.completions.create(**ASK)


async def asked_async(recorder: Recorder, stream: Any) -> Any:
    async def create(**kwargs: Any) -> Any:
        return stream

    return await log_calls(client_of(create), recorder).chat.completions.create(**ASK)


def as_objects(value: Any) -> Any:
    """Dicts as an SDK's objects."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: as_objects(one) for name, one in value.items()})
    return [as_objects(one) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("objects", [False, True])
def test_a_stream_is_recorded_when_it_ends(
    recorder: Recorder, sink: Any, chunks: list[Any], assembled: Any, objects: bool
) -> None:
    sent = as_objects(chunks) if objects else chunks
    inner = Stream(sent)
    stream = asked(recorder, inner)
    assert isinstance(stream, Stream)
    assert stream.response == "raw"
    assert next(stream) is sent[0]
    assert recorder.stats().recorded == 0
    assert list(stream) == sent[1:]
    assert recorder.flush()
    [record] = sink.documents
    assert record["response"]["choices"] == [
        {"index": 0, "message": assembled, "finish_reason": "tool_calls"},
    ]
    assert record["response"]["id"] == "c-2"
    assert (record["tokens_in"], record["tokens_out"]) == (7, 5)
    assert record["request"]["stream"] is True
    assert "error" not in record


async def test_an_async_stream(recorder: Recorder, sink: Any, chunks: list[Any], assembled: Any) -> None:
    inner = AsyncStream(chunks)
    async with await asked_async(recorder, inner) as stream:
        assert [chunk async for chunk in stream] == chunks
    assert inner.closed == 1
    assert recorder.flush()
    assert sink.documents[0]["response"]["choices"][0]["message"] == assembled


def leave_with_break(stream: Any) -> None:
    for _ in stream:
        break


def leave_with_close(stream: Any) -> None:
    next(stream)
    stream.close()


def leave_with_error(stream: Any) -> None:
    next(stream)
    with pytest.raises(ZeroDivisionError), stream:
        _ = 1 / 0


@pytest.mark.parametrize("leave", [leave_with_break, leave_with_close, leave_with_error])
def test_a_stream_that_the_application_leaves(
    recorder: Recorder, sink: Any, chunks: list[Any], leave: Callable[[Any], None]
) -> None:
    leave(asked(recorder, Stream(chunks)))
    gc.collect()
    assert recorder.flush()
    [record] = sink.documents
    assert record["error"] == "the application stopped reading the stream"
    assert record["response"]["choices"][0]["finish_reason"] is None


def test_forgotten_streams_are_recorded_though_nothing_else_happens(
    recorder: Recorder, sink: Any, chunks: list[Any]
) -> None:
    for _ in range(2):
        leave_with_break(asked(recorder, Stream(list(chunks))))
        gc.collect()
    deadline = time.monotonic() + 5
    while len(sink.documents) < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert len(sink.documents) == 2


def test_a_finaliser_does_nothing_that_could_wait(
    recorders: Callable[..., Recorder], sink: Any, chunks: list[Any]
) -> None:
    """It may run in any thread, whatever locks that thread holds."""
    gate = threading.Event()
    recorder = recorders(sink, redact=lambda record: record if gate.wait(10) else None)
    stream = asked(recorder, Stream(chunks))
    next(stream)
    began = time.monotonic()
    del stream
    gc.collect()
    assert time.monotonic() - began < 5
    gate.set()
    assert recorder.flush()
    assert recorder.stats().written == 1


async def test_an_async_stream_that_the_application_leaves(
    recorder: Recorder, sink: Any, chunks: list[Any]
) -> None:
    inner = AsyncStream(chunks)
    stream = await asked_async(recorder, inner)
    await anext(stream)
    await stream.close()
    assert inner.closed == 1
    assert recorder.flush()
    assert "stopped reading" in sink.documents[0]["error"]


def test_an_answer_that_was_complete_is_whole_without_its_last_chunk(
    recorder: Recorder, sink: Any, chunks: list[Any]
) -> None:
    for chunk in (stream := asked(recorder, Stream(chunks))):
        if chunk["choices"][0]["finish_reason"]:
            break
    stream.close()
    assert recorder.flush()
    assert "error" not in sink.documents[0]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_stream_that_fails(
    recorder: Recorder, sink: Any, chunks: list[Any], asynchronous: bool
) -> None:
    failure = ConnectionResetError("gone")
    sent = [*chunks[:3], failure]

    async def read() -> None:
        if asynchronous:
            _ = [chunk async for chunk in await asked_async(recorder, AsyncStream(sent))]
        else:
            list(asked(recorder, Stream(sent)))

    with pytest.raises(ConnectionResetError) as raised:
        await read()
    assert raised.value is failure
    assert recorder.flush()
    [record] = sink.documents
    assert record["error"] == "ConnectionResetError: gone"
    assert record["response"]["choices"][0]["message"]["content"] == "One moment."


def test_a_stream_that_is_cut_off_says_so(recorder: Recorder, sink: Any, chunks: list[Any]) -> None:
    list(asked(recorder, Stream(chunks[:3])))
    assert recorder.flush()
    assert sink.documents[0]["error"] == "the stream ended without a finish_reason"


def test_an_answer_larger_than_a_record_may_be_is_counted(
    recorders: Callable[..., Recorder], sink: Any
) -> None:
    recorder = recorders(sink, settings=Settings(max_record_bytes=1000))
    delta = {"choices": [{"index": 0, "delta": {"content": "x" * 100}}]}
    assert len(list(asked(recorder, Stream([delta] * 20)))) == 20
    assert recorder.stats().dropped == {"too_large": 1}


def test_a_chunk_that_cannot_be_read_reaches_the_application(recorder: Recorder) -> None:
    odd = {"choices": 5}
    assert list(asked(recorder, Stream([odd]))) == [odd]
    assert recorder.stats().dropped == {"internal_error": 1}

"""The recorder: bounded, never in the way, and every call accounted for."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from include.instrument import RETRY, Line, Outcome, Recorder, Settings, Stats, refused

ASK = {"model": "big", "messages": [{"role": "user", "content": "Hi"}]}


def adds_up(stats: Stats) -> bool:
    return stats.recorded == stats.written + sum(stats.dropped.values()) + stats.waiting


def test_a_batch_is_sent_when_it_is_full_or_old(recorders: Callable[..., Recorder], sink: Any) -> None:
    recorder = recorders(sink, settings=Settings(batch_records=3, batch_seconds=60))
    for _ in range(7):
        recorder.record(request=ASK)
    deadline = time.monotonic() + 5
    while len(sink.batches) < 2 and time.monotonic() < deadline:
        time.sleep(0.005)
    assert [len(batch) for batch in sink.batches] == [3, 3]
    assert recorder.stats().waiting == 1
    assert recorder.flush()
    assert [len(batch) for batch in sink.batches] == [3, 3, 1]


def test_a_batch_is_bounded_in_bytes(recorders: Callable[..., Recorder], sink: Any) -> None:
    recorder = recorders(sink, settings=Settings(batch_bytes=2500, batch_seconds=60))
    for _ in range(4):
        recorder.record(request={"input": "x" * 1000})
    assert recorder.flush()
    assert [len(batch) for batch in sink.batches] == [2, 2]


@pytest.mark.parametrize(
    "bound", [{"max_queued_records": 5}, {"max_queued_bytes": 5500, "batch_bytes": 10**6}]
)
def test_a_full_queue_drops_and_counts_and_never_blocks(
    recorders: Callable[..., Recorder], sink: Any, bound: dict[str, int]
) -> None:
    recorder = recorders(sink, settings=Settings(batch_seconds=0.001, **bound))
    sink.gate.clear()
    recorder.record(request=ASK)
    assert sink.entered.wait(5)
    began = time.monotonic()
    for _ in range(1000):
        recorder.record(request={"input": "x" * 1000})
    assert time.monotonic() - began < 2
    stats = recorder.stats()
    assert (stats.waiting, stats.dropped) == (6, {"queue_full": 995})
    sink.gate.set()
    assert recorder.flush()
    assert recorder.stats() == Stats(1001, 6, {"queue_full": 995}, 0)


def test_a_sink_that_fails_is_tried_again_with_the_same_ids(recorder: Recorder, sink: Any) -> None:
    tried: list[list[str]] = []
    write = sink.write

    def seen(lines: list[Line]) -> list[Outcome]:
        tried.append([line.id for line in lines])
        return write(lines)

    sink.write = seen
    sink.faults = [OSError("down"), OSError("still down")]
    recorder.record(request=ASK)
    assert recorder.flush()
    assert len(tried) == 3
    assert tried[0] == tried[1] == tried[2]
    assert recorder.stats() == Stats(1, 1, {}, 0)


def test_a_sink_that_stays_down_is_given_up(recorders: Callable[..., Recorder], sink: Any) -> None:
    settings = Settings(batch_seconds=0.01, retry_first_seconds=0.01, give_up_seconds=0.05)
    recorder = recorders(sink, settings=settings)
    sink.faults = [OSError("down")] * 1000
    recorder.record(request=ASK)
    assert recorder.flush()
    assert recorder.stats() == Stats(1, 0, {"sink_failed": 1}, 0)


def test_each_line_has_its_own_outcome(recorders: Callable[..., Recorder]) -> None:
    class Choosy:
        tries = 0

        def write(self, lines: list[Line]) -> list[Outcome]:
            self.tries += 1
            states = {"a": Outcome("written"), "b": refused("too odd")}
            return [
                states.get(
                    json.loads(line.body)["request"]["input"], RETRY if self.tries < 3 else states["a"]
                )
                for line in lines
            ]

        def close(self) -> None: ...

    settings = Settings(batch_seconds=60, retry_first_seconds=0.01)
    recorder = recorders(choosy := Choosy(), settings=settings)
    for text in "abc":
        recorder.record(request={"input": text})
    assert recorder.flush()
    assert recorder.stats() == Stats(3, 2, {"sink_refused": 1}, 0)
    assert choosy.tries == 3


def test_flush_says_when_it_was_too_short(recorder: Recorder, sink: Any) -> None:
    sink.gate.clear()
    recorder.record(request=ASK)
    assert not recorder.flush(0.05)
    sink.gate.set()
    assert recorder.flush()


def test_flush_does_not_wait_for_the_next_try(recorders: Callable[..., Recorder], sink: Any) -> None:
    recorder = recorders(sink, settings=Settings(batch_seconds=0.001, retry_first_seconds=60))
    sink.faults = [OSError("down")]
    recorder.record(request=ASK)
    assert sink.entered.wait(5)
    assert recorder.flush(5)
    assert recorder.stats().written == 1


def test_close_gives_up_what_the_sink_does_not_take(recorders: Callable[..., Recorder], sink: Any) -> None:
    recorder = recorders(sink, settings=Settings(batch_records=2, batch_seconds=0.01))
    sink.faults = [OSError("down")] * 10_000
    for _ in range(5):
        recorder.record(request=ASK)
    began = time.monotonic()
    recorder.close(0.2)
    assert time.monotonic() - began < 2
    recorder.record(request=ASK)
    stats = recorder.stats()
    assert stats.dropped == {"unwritten_at_close": 5, "recorder_closed": 1}
    assert (stats.written, stats.waiting) == (0, 0)
    assert sink.closed == 1


def test_tags_nest_and_the_innermost_win(recorders: Callable[..., Recorder], sink: Any) -> None:
    recorder = recorders(sink, description="outer", provider="p")
    with recorder.tags(session_id="s", workload_id="w"), recorder.tags(trace_id="t", description="inner"):
        recorder.record(request=ASK)
    recorder.record(request=ASK)
    assert recorder.flush()
    inside, outside = sink.documents
    wanted = {"client_id": "acme", "workload_id": "w", "session_id": "s", "trace_id": "t"}
    assert wanted.items() <= inside.items()
    assert (inside["description"], outside["description"]) == ("inner", "outer")
    assert outside["workload_id"] == "desk"
    assert not {"session_id", "trace_id"} & outside.keys()


async def test_tags_are_of_the_task(recorder: Recorder, sink: Any) -> None:
    async def session(name: str) -> None:
        with recorder.tags(session_id=name):
            await asyncio.sleep(0)
            recorder.record(request={"input": name})

    await asyncio.gather(*(session(str(number)) for number in range(5)))
    assert recorder.flush()
    assert len(sink.documents) == 5
    assert all(one["session_id"] == one["request"]["input"] for one in sink.documents)


def test_a_record_without_ids_is_counted(recorders: Callable[..., Recorder], sink: Any) -> None:
    recorder = recorders(sink, workload_id=None)
    recorder.record(request=ASK)
    assert recorder.flush()
    assert recorder.stats().dropped == {"no_client_or_workload_id": 1}


@pytest.mark.parametrize(
    ("redact", "reason"),
    [
        (lambda record: 1 / 0, "redact_failed"),
        (lambda record: None, "left_out_by_redact"),
        (str, "redact_failed"),
    ],
)
def test_what_redact_fails_on_is_not_written(
    recorders: Callable[..., Recorder], sink: Any, redact: Any, reason: str
) -> None:
    recorder = recorders(sink, redact=redact)
    recorder.record(request=ASK)
    assert recorder.flush()
    assert recorder.stats() == Stats(1, 0, {reason: 1}, 0)


def test_long_texts_are_cut_and_say_so(recorders: Callable[..., Recorder], sink: Any) -> None:
    recorder = recorders(sink, settings=Settings(max_text_chars=5, batch_seconds=0.01))
    arguments = '{"text": "long enough"}'
    call = {"id": "t", "type": "function", "function": {"name": "f", "arguments": arguments}}
    parts = [{"type": "text", "text": "abcdefgh"}, {"type": "image_url", "image_url": {"url": "data:long"}}]
    answer = {"role": "assistant", "content": "answered", "tool_calls": [call]}
    messages = [{"role": "system", "content": "short"}, {"role": "user", "content": parts}]
    recorder.record(request={"messages": messages}, response={"choices": [{"message": answer}]})
    recorder.record(request={"messages": messages[:1]})
    assert recorder.flush()
    cut, whole = sink.documents
    assert cut["truncated"] == 2
    assert cut["request"]["messages"][1]["content"][0]["text"] == "abcde… [3 characters cut]"
    message = cut["response"]["choices"][0]["message"]
    assert message["content"] == "answe… [3 characters cut]"
    assert message["tool_calls"] == [call]
    assert "truncated" not in whole
    assert parts[0]["text"] == "abcdefgh"


@pytest.mark.parametrize(
    "odd", [{"timestamp_ms": 10**17}, {"timestamp_ms": -1}, {"response": "text"}, {"request": [1]}], ids=str
)
def test_a_record_that_no_store_could_read_is_counted(recorder: Recorder, odd: dict[str, Any]) -> None:
    recorder.record(**{"request": ASK, **odd})
    recorder.record(request=ASK)
    assert recorder.flush()
    assert recorder.stats() == Stats(2, 1, {"not_serialisable": 1}, 0)


def test_half_a_surrogate_pair_keeps_its_record(recorder: Recorder, sink: Any) -> None:
    recorder.record(request={"input": "a\ud800b\u2028"})
    assert recorder.flush()
    assert sink.documents[0]["request"]["input"] == "a?b\u2028"
    assert b"\n" not in sink.batches[0][0].body


def test_threads_record_at_the_same_time(recorder: Recorder, sink: Any) -> None:
    def work() -> None:
        for _ in range(200):
            recorder.record(request=ASK)

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recorder.flush()
    assert recorder.stats() == Stats(1000, 1000, {}, 0)
    assert len({line.id for batch in sink.batches for line in batch}) == 1000


def test_no_id_is_given_twice(recorder: Recorder, sink: Any) -> None:
    for _ in range(50):
        recorder.record(request=ASK)
        assert recorder.flush()
    assert len({line.id for batch in sink.batches for line in batch}) == 50


def test_one_warning_in_a_while(
    recorders: Callable[..., Recorder], sink: Any, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = recorders(sink, settings=Settings(warn_seconds=60), redact=lambda record: None)
    with caplog.at_level(logging.WARNING, "flywheel_instrument"):
        for _ in range(100):
            recorder.record(request=ASK)
    [warning] = caplog.messages
    assert "1 left_out_by_redact" in warning


def test_a_handler_that_raises_stays_out_of_the_application(recorder: Recorder) -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise ZeroDivisionError

    log, broken = logging.getLogger("flywheel_instrument"), Broken()
    log.addHandler(broken)
    try:
        recorder.record(request=object())
    finally:
        log.removeHandler(broken)
    assert recorder.stats().dropped == {"not_serialisable": 1}
    assert adds_up(recorder.stats())


def test_settings_name_what_is_wrong() -> None:
    with pytest.raises(ValueError, match=r"`batch_seconds` is 0; give a number above 0"):
        Settings(batch_seconds=0)
    assert Settings(max_text_chars=None).max_text_chars is None

"""Progress that counts: rate and what is left, on a terminal and elsewhere."""

from __future__ import annotations

import gzip
import io

import pytest

from include.cli.counting import Counting, duration
from include.flywheel.logs.lines import LineSource


def counting(source, stream, clock):
    return Counting(source.name, "lines", share=lambda: source.share, stream=stream, clock=clock)


class Stream(io.StringIO):
    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def half_read(path):
    source = LineSource(path)
    lines = iter(source)
    for _ in range(100_000):
        next(lines)
    return source, lines


@pytest.fixture(params=["plain", "gz"])
def source(request, tmp_path):
    content = b"".join(b'{"n": %d, "text": "%d"}\n' % (n, n * 7919 % 10007) for n in range(200_000))
    path = tmp_path / "calls.jsonl"
    path.write_bytes(content if request.param == "plain" else gzip.compress(content, 1))
    source, lines = half_read(path)
    yield source
    lines.close()


def test_on_a_terminal_the_line_is_redrawn_and_taken_away(source):
    stream, clock = Stream(terminal=True), Clock()
    with counting(source, stream, clock) as progress:
        progress(1)
        assert stream.getvalue() == ""
        clock.now += 4.0
        progress(100_000)
    shown = stream.getvalue()
    assert shown.startswith("\rcalls.jsonl: 100,000 lines, 25,000 lines/s, ")
    assert 40 <= int(shown.split("/s, ")[1].split("%")[0]) <= 75
    assert " s left" in shown
    assert stream.getvalue().endswith("\r\x1b[K")


def test_elsewhere_there_is_a_line_every_ten_seconds(source):
    stream, clock = Stream(terminal=False), Clock()
    with counting(source, stream, clock) as progress:
        for seconds in range(1, 26):
            clock.now = 100.0 + seconds
            progress(seconds * 1000)
    lines = stream.getvalue().splitlines()
    counts = [line.partition(", ")[0] for line in lines]
    assert counts == ["calls.jsonl: 10,000 lines", "calls.jsonl: 20,000 lines"]


def test_an_input_without_an_end_has_no_percentage(tmp_path):
    stream, clock = Stream(terminal=False), Clock()
    progress = counting(LineSource(tmp_path / "pipe"), stream, clock)
    clock.now += 10
    progress(500)
    assert stream.getvalue() == "pipe: 500 lines, 50 lines/s\n"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59, "59 s"), (61, "1:01 min"), (3599, "59:59 min"), (7380, "2:03 h")],
)
def test_durations(seconds, words):
    assert duration(seconds) == words

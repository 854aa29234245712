"""How far a load is: redrawn on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

from include.flywheel.logs.lines import LineSource

REDRAW_SECONDS = 0.2
LINE_SECONDS = 10.0


class LoadProgress:
    """Called with the number of lines read so far. What is left is told by bytes, where the input ends."""

    def __init__(
        self,
        source: LineSource,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source, self._stream, self._clock = source, stream or sys.stderr, clock
        self._redraws = self._stream.isatty()
        self._started = self._told = clock()

    def __call__(self, lines_read: int) -> None:
        now = self._clock()
        if now - self._told < (REDRAW_SECONDS if self._redraws else LINE_SECONDS):
            return
        self._told = now
        text = self._text(lines_read, now - self._started)
        self._stream.write(f"\r{text}\x1b[K" if self._redraws else f"{text}\n")
        self._stream.flush()

    def end(self) -> None:
        """Take the line away; what became of the file is printed after it."""
        if self._redraws:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _text(self, lines_read: int, seconds: float) -> str:
        parts = [f"{self._source.name}: {lines_read:,} lines", f"{lines_read / seconds:,.0f} lines/s"]
        size, position = self._source.size_bytes, self._source.position_bytes
        if size and position:
            left_seconds = seconds * max(0, size - position) / position
            parts += [f"{min(1.0, position / size):.0%}", f"{duration(left_seconds)} left"]
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """`4 s`, `1:05 min`, `2:03 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}:{rest:02} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02} h"

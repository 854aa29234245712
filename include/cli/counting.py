"""How far work is that counts: redrawn on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

REDRAW_SECONDS = 0.2
LINE_SECONDS = 10.0


class Counting:
    """`with Counting("calls.jsonl", "lines") as progress: progress(1000)`; writes to stderr.

    :param share: tells how much is done, 0 to 1; None where nobody knows the end.
    """

    def __init__(
        self,
        name: str,
        noun: str,
        *,
        share: Callable[[], float | None] = lambda: None,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._noun, self._share = name, noun, share
        self._stream, self._clock = stream or sys.stderr, clock
        self._redraws = self._stream.isatty()
        self._started = self._told = clock()

    def __enter__(self) -> Counting:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._redraws:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def __call__(self, count: int) -> None:
        now = self._clock()
        if now - self._told < (REDRAW_SECONDS if self._redraws else LINE_SECONDS):
            return
        self._told = now
        text = self._text(count, now - self._started)
        self._stream.write(f"\r{text}\x1b[K" if self._redraws else f"{text}\n")
        self._stream.flush()

    def _text(self, count: int, seconds: float) -> str:
        parts = [f"{self._name}: {count:,} {self._noun}", f"{count / seconds:,.0f} {self._noun}/s"]
        share = self._share()
        if share:
            parts += [f"{share:.0%}", f"{duration(seconds * (1 - share) / share)} left"]
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """`4 s`, `1:05 min`, `2:03 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes}:{rest:02} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02} h"

"""Progress of work that counts: one line that redraws itself on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from types import TracebackType

_REDRAW_SECONDS = 0.2
_LINE_SECONDS = 10.0


class Counting:
    """`with Counting("reading", "records") as progress: progress(20_000)`; writes to stderr."""

    def __init__(self, verb: str, noun: str) -> None:
        self._verb, self._noun = verb, noun
        self._redraws = sys.stderr.isatty()
        self._pause_seconds = _REDRAW_SECONDS if self._redraws else _LINE_SECONDS
        self._started = self._said = time.monotonic()

    def __enter__(self) -> Counting:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._redraws:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def __call__(self, count: int) -> None:
        now = time.monotonic()
        if now - self._said < self._pause_seconds:
            return
        self._said = now
        rate = count / (now - self._started)
        line = f"{self._verb}: {count:,} {self._noun}, {rate:,.0f} a second"
        sys.stderr.write(f"\r{line}\x1b[K" if self._redraws else f"{line}\n")
        sys.stderr.flush()

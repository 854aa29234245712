"""Which lines a day's file holds already: digests of one day at a time, so that memory follows the day."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

from include.flywheel.logs.lines import BROKEN_GZIP, open_lines

MAX_KEYS = 400_000
"""Digests kept for other days than the one at hand (about 90 bytes each)."""


def line_digest(line: bytes) -> bytes:
    """16 bytes that stand for a line without its end."""
    return hashlib.blake2b(line, digest_size=16).digest()


class DayLines:
    """The digests of the lines of one file, open and closed (.gz), read on demand and kept up to date."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._closed = path.with_name(f"{path.name}.gz")
        self._closed_state: tuple[int, int] | None = None
        self._offset = 0
        self.digests: set[bytes] = set()

    def catch_up(self) -> None:
        """Read what was written since the last time."""
        size = self._path.stat().st_size if self._path.exists() else 0
        if size < self._offset:
            # Closed, or repaired by hand: what it held may be gone.
            self.digests.clear()
            self._offset, self._closed_state = 0, None
        if self._closed.exists():
            status = self._closed.stat()
            state = (status.st_size, status.st_mtime_ns)
            if state != self._closed_state:
                self._read(self._closed, 0)
                self._closed_state = state
        if size > self._offset:
            self._offset = self._read(self._path, self._offset)

    def wrote(self, digests: Iterable[bytes], before: int, after: int) -> None:
        """Lines were appended by the holder of the lock, and these alone, from byte `before` to `after`.

        They need not be read again, unless another program wrote since the last time.
        """
        self.digests.update(digests)
        if before == self._offset:
            self._offset = after

    def _read(self, path: Path, offset: int) -> int:
        try:
            with open_lines(path) as lines:
                lines.seek(offset)
                for line in lines:
                    self.digests.add(line_digest(line.rstrip(b"\r\n")))
                    if line.endswith(b"\n"):
                        offset += len(line)
        except BROKEN_GZIP:
            return offset
        return offset


class KnownLines:
    """The digests of the days at hand; the days used longest ago are dropped and read again when needed."""

    def __init__(self, max_keys: int = MAX_KEYS) -> None:
        self._max_keys = max_keys
        self._days: OrderedDict[Path, DayLines] = OrderedDict()

    def of(self, path: Path) -> DayLines:
        """The lines of the file `path`, as it stands now."""
        day = self._days.pop(path, None) or DayLines(path)
        day.catch_up()
        self._days[path] = day
        while len(self._days) > 1 and sum(len(kept.digests) for kept in self._days.values()) > self._max_keys:
            self._days.popitem(last=False)
        return day

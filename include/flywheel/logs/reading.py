"""A snapshot of one query in the file log store."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

import numpy as np

from include.flywheel.errors import DataError
from include.flywheel.logs.lines import BROKEN_GZIP, MAX_LINE_BYTES, open_lines
from include.flywheel.logs.partitions import LogFile, log_files
from include.flywheel.logs.selection import Selection
from include.flywheel.logs.store import LogQuery

_LISTINGS = 5


class FileReading:
    """The lines of a query up to where their files ended when this was made.

    Without a limit the files are read once and nothing is kept. With one they are read twice: the times of
    all lines (24 bytes each) tell which are the newest.
    """

    def __init__(self, root: Path, query: LogQuery) -> None:
        self._root, self._query = root, query
        self._selection = Selection(query)
        self._files = self._list()
        self._in_store = 0
        self._at: tuple[LogFile, int] | None = None

    def _list(self) -> list[tuple[LogFile, int]]:
        """The files that may hold lines of the query, and how long they are now."""
        for _ in range(_LISTINGS):
            files = [file for file in log_files(self._root) if self._selection.may_hold(file)]
            try:
                return [(file, file.path.stat().st_size) for file in files]
            except FileNotFoundError:
                # It was closed meanwhile, and is a .gz now.
                continue
        raise DataError(f"the files below {self._root} change while they are listed; run again")

    @property
    def in_store(self) -> int:
        """Raw records of the query, whatever its limit. Known once the iteration has ended."""
        return self._in_store

    def where(self) -> str:
        """File and byte of the line that was yielded last."""
        if self._at is None:
            return "nowhere yet"
        file, offset = self._at
        return f"{file.path.relative_to(self._root)} byte {offset}"

    def __iter__(self) -> Iterator[bytes]:
        self._in_store = 0
        if self._query.limit is None:
            for file, size in self._files:
                for offset, _, line in self._lines(file, size):
                    self._in_store += 1
                    self._at = (file, offset)
                    yield line
            return
        yield from self._newest(self._query.limit)

    def count(self) -> int:
        """Raw records of the query, whatever its limit; reads every line."""
        return sum(1 for file, size in self._files for _ in self._lines(file, size))

    def _lines(self, file: LogFile, size: int) -> Iterator[tuple[int, int, bytes]]:
        """(offset, Unix milliseconds, line) of the query's lines in a file; an empty line is a broken .gz."""
        own, time_of = self._selection.owns(file), self._selection.time_of
        offset = 0
        try:
            with open_lines(file.path) as lines:
                end = size if isinstance(lines, BufferedReader) else None
                while line := lines.readline(MAX_LINE_BYTES):
                    time_ms = time_of(line, file, own=own)
                    if time_ms is not None:
                        yield offset, time_ms, line
                    offset += len(line)
                    if end is not None and offset >= end:
                        return
        except BROKEN_GZIP:
            if own:
                yield offset, file.start_ms, b""
        except OSError as error:
            raise DataError(f"{file.path} cannot be read ({error.strerror or error}): run again") from error

    def _newest(self, limit: int) -> Iterator[bytes]:
        times, numbers, offsets = array("q"), array("q"), array("q")
        for number, (file, size) in enumerate(self._files):
            for offset, time_ms, _ in self._lines(file, size):
                times.append(time_ms)
                numbers.append(number)
                offsets.append(offset)
        self._in_store = len(times)
        chosen = _newest(np.frombuffer(times, np.int64), np.frombuffer(numbers, np.int64), limit)
        in_file, at = np.frombuffer(numbers, np.int64)[chosen], np.frombuffer(offsets, np.int64)[chosen]
        for number, (file, _) in enumerate(self._files):
            first, end = np.searchsorted(in_file, [number, number + 1])
            if first < end:
                yield from self._at_offsets(file, at[first:end].tolist())

    def _at_offsets(self, file: LogFile, offsets: list[int]) -> Iterator[bytes]:
        try:
            with open_lines(file.path) as lines:
                for offset in offsets:
                    self._at = (file, offset)
                    yield _line_at(lines, offset)
        except OSError as error:
            raise DataError(
                f"{file.path} could not be read ({error}): it was changed while it was read; run again"
            ) from error


def _newest(times: np.ndarray, numbers: np.ndarray, limit: int) -> np.ndarray:
    """Positions of the newest `limit` lines, in storage order; of equally old ones the last stored."""
    if limit >= len(times):
        return np.arange(len(times))
    return np.sort(np.lexsort((np.arange(len(times)), numbers, times))[len(times) - limit :])


def _line_at(lines: BinaryIO, offset: int) -> bytes:
    try:
        lines.seek(offset)
        return lines.readline(MAX_LINE_BYTES)
    except BROKEN_GZIP:
        return b""

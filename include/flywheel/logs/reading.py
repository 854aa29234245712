"""A snapshot of one query in the file log store: an index of its lines, then the lines themselves."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import orjson

from include.flywheel.errors import DataError
from include.flywheel.logs.lines import BROKEN_GZIP, MAX_LINE_BYTES, open_lines
from include.flywheel.logs.partitions import LogFile, file_name, log_files
from include.flywheel.logs.record_lines import marks, owner
from include.flywheel.logs.store import LogQuery, RawRecord, Undecodable


class FileReading:
    """The lines of a query as they stood when this was made; memory grows with their number alone.

    A line that cannot be decoded belongs to the query when it stands in the store's own file of these ids, or
    when it names both. Having no time of its own, it counts as the oldest of its day.
    """

    def __init__(self, root: Path, query: LogQuery) -> None:
        self._root, self._query = root, query
        self._name = file_name(query.client_id, query.workload_id)
        self._marks = marks(query.client_id, query.workload_id)
        self._files = [file for file in log_files(root) if self._may_hold(file)]
        self._times, self._numbers, self._offsets = array("q"), array("q"), array("q")
        for number, file in enumerate(self._files):
            self._index(number, file)

    @property
    def in_store(self) -> int:
        """Raw records of the query, whatever its limit."""
        return len(self._times)

    def __iter__(self) -> Iterator[RawRecord]:
        numbers, offsets = self._newest()
        for number, file in enumerate(self._files):
            first, end = np.searchsorted(numbers, [number, number + 1])
            if first == end:
                continue
            label = str(file.path.relative_to(self._root))
            try:
                with open_lines(file.path) as lines:
                    for offset in offsets[first:end].tolist():
                        yield _record(lines, offset, f"{label} byte {offset}")
            except OSError as error:
                raise DataError(
                    f"{file.path} could not be read ({error}): it was changed while it was read; run again"
                ) from error

    def _newest(self) -> tuple[np.ndarray, np.ndarray]:
        """File numbers and offsets of the newest `limit` lines, in storage order."""
        times = np.frombuffer(self._times, dtype=np.int64)
        numbers = np.frombuffer(self._numbers, dtype=np.int64)
        offsets = np.frombuffer(self._offsets, dtype=np.int64)
        if self._query.limit is not None and self._query.limit < len(times):
            chosen = np.sort(np.lexsort((offsets, numbers, times))[len(times) - self._query.limit :])
            numbers, offsets = numbers[chosen], offsets[chosen]
        return numbers, offsets

    def _may_hold(self, file: LogFile) -> bool:
        if not file.own:
            return True
        since, until = self._query.since_ms, self._query.until_ms
        in_window = (since is None or file.end_ms > since) and (until is None or file.start_ms < until)
        return in_window and file.of(self._name)

    def _index(self, number: int, file: LogFile) -> None:
        own = file.of(self._name)
        offset = 0
        try:
            with open_lines(file.path) as lines:
                while line := lines.readline(MAX_LINE_BYTES):
                    time_ms = self._time_of(line, file, own=own)
                    if time_ms is not None:
                        self._add(time_ms, number, offset)
                    offset += len(line)
        except BROKEN_GZIP:
            if own:
                self._add(file.start_ms, number, offset)

    def _add(self, time_ms: int, number: int, offset: int) -> None:
        self._times.append(time_ms)
        self._numbers.append(number)
        self._offsets.append(offset)

    def _time_of(self, line: bytes, file: LogFile, *, own: bool) -> int | None:
        """When a line of this query was written, Unix milliseconds; None when it is not of this query."""
        if not own and not all(mark in line for mark in self._marks):
            return None
        if not line.strip():
            return None
        whose = owner(line)
        if whose.decodable:
            if (whose.client_id, whose.workload_id) != (self._query.client_id, self._query.workload_id):
                return None
        elif not own and len(self._marks) < 2:
            return None
        time_ms = file.start_ms if whose.timestamp_ms is None else whose.timestamp_ms
        since, until = self._query.since_ms, self._query.until_ms
        if (since is not None and time_ms < since) or (until is not None and time_ms >= until):
            return None
        return time_ms


def _record(lines: BinaryIO, offset: int, example: str) -> RawRecord:
    try:
        lines.seek(offset)
        line = lines.readline(MAX_LINE_BYTES)
    except BROKEN_GZIP:
        return RawRecord(example, None, Undecodable.TORN)
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        torn = not line.endswith(b"\n")
        return RawRecord(example, None, Undecodable.TORN if torn else Undecodable.NOT_JSON)
    if not isinstance(document, dict):
        return RawRecord(example, None, Undecodable.NOT_OBJECT)
    return RawRecord(example, document)

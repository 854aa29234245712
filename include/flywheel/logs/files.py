"""The embedded log store: JSONL files in one folder a UTC day.

Other programs may write `*.jsonl` into the day folders too (exporters, rotated and compressed files); their
lines are found by the ids that stand in them. What is written here is one write a batch at the end of the
file, so that readers and writers need not wait for each other.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from include.flywheel.errors import DataError
from include.flywheel.logs.known_lines import KnownLines, line_digest
from include.flywheel.logs.lines import BROKEN_GZIP, open_lines
from include.flywheel.logs.partitions import file_name, log_files
from include.flywheel.logs.reading import FileReading
from include.flywheel.logs.record_lines import encode, owner
from include.flywheel.logs.store import AppendReport, LogQuery, StoreSummary, WorkloadSummary
from include.flywheel.logs.timestamps import day_of


class FileLogStore:
    """Log records below one folder. The folder is made by the first append."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known = KnownLines()

    def __repr__(self) -> str:
        return f"FileLogStore({str(self._root)!r})"

    def read(self, query: LogQuery) -> FileReading:
        """A snapshot of the query's records; each day's lines in storage order, oldest day first."""
        return FileReading(self._root, query)

    def count(self, query: LogQuery) -> int:
        """Raw records of the query in the store, whatever its limit."""
        return self.read(query).in_store

    def append(self, records: Iterable[Mapping[str, Any]]) -> AppendReport:
        """Store records; the same line within its day, client and workload is stored once.

        Raises DataError on a record without `timestamp`, `client_id` or `workload_id`, before anything is
        written, and when the files cannot be written.
        """
        by_file: dict[Path, list[bytes]] = {}
        for record in records:
            timestamp_ms, client_id, workload_id, line = encode(record)
            folder = self._root / f"dt={day_of(timestamp_ms)}"
            by_file.setdefault(folder / file_name(client_id, workload_id), []).append(line)
        if not by_file:
            return AppendReport(stored=0, already_stored=0)
        try:
            with self._writing():
                stored = sum(self._append_new(path, lines) for path, lines in by_file.items())
        except OSError as error:
            raise DataError(
                f"the log store {self._root} cannot be written ({error.strerror or error}); "
                "check that it is a folder, its permissions and the free space"
            ) from error
        return AppendReport(stored=stored, already_stored=sum(map(len, by_file.values())) - stored)

    def describe(self) -> StoreSummary:
        """What the store holds, by client and workload; reads every line."""
        found: dict[tuple[str, str], WorkloadSummary] = {}
        unreadable = 0
        for line in self._all_lines():
            whose = owner(line) if line else None
            if whose is None or whose.client_id is None or whose.workload_id is None:
                unreadable += 1
                continue
            key = (whose.client_id, whose.workload_id)
            if key not in found:
                found[key] = WorkloadSummary(
                    client_id=key[0], workload_id=key[1], records=0, first_ms=None, last_ms=None
                )
            _extend(found[key], whose.timestamp_ms)
        return StoreSummary(
            where=str(self._root), workloads=[found[key] for key in sorted(found)], unreadable=unreadable
        )

    def _all_lines(self) -> Iterator[bytes]:
        """Every line that is not blank; an empty one stands for the rest of a damaged .gz."""
        for file in log_files(self._root):
            try:
                with open_lines(file.path) as lines:
                    yield from (line for line in lines if line.strip())
            except BROKEN_GZIP:
                yield b""

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Only one process at a time decides what is new and appends it."""
        self._root.mkdir(parents=True, exist_ok=True)
        with (self._root / ".lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _append_new(self, path: Path, lines: list[bytes]) -> int:
        known = self._known.of(path)
        by_digest = {line_digest(line): line for line in lines}
        new = [line for digest, line in by_digest.items() if digest not in known]
        if new:
            path.parent.mkdir(exist_ok=True)
            _write_at_end(path, b"\n".join(new) + b"\n")
        return len(new)


def _write_at_end(path: Path, content: bytes) -> None:
    """Append in one write; after a torn last line the content begins on a line of its own."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            content = b"\n" + content
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)


def _extend(summary: WorkloadSummary, timestamp_ms: int | None) -> None:
    summary.records += 1
    if timestamp_ms is not None:
        summary.first_ms = min(timestamp_ms, summary.first_ms or timestamp_ms)
        summary.last_ms = max(timestamp_ms, summary.last_ms or timestamp_ms)

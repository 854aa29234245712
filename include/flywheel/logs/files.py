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
from include.flywheel.logs.statistics import StoreStatistics
from include.flywheel.logs.store import AppendReport, LogQuery, StoreSummary, WorkloadSummary
from include.flywheel.logs.timestamps import DAY_MS, day_of


class FileLogStore:
    """Log records below one folder. The folder is made by the first append."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known = KnownLines()

    def __repr__(self) -> str:
        return f"FileLogStore({str(self._root)!r})"

    @property
    def root(self) -> Path:
        """The folder."""
        return self._root

    def read(self, query: LogQuery) -> FileReading:
        """A snapshot of the query's records; each day's lines in storage order, oldest day first."""
        return FileReading(self._root, query)

    def count(self, query: LogQuery) -> int:
        """Raw records of the query in the store, whatever its limit."""
        return self.read(query).count()

    def append(self, records: Iterable[Mapping[str, Any]]) -> AppendReport:
        """Store records; the same line within its day, client and workload is stored once.

        Raises DataError on a record without `timestamp`, `client_id` or `workload_id`, before anything is
        written, and when the files cannot be written.
        """
        parts: dict[tuple[int, str, str], list[bytes]] = {}
        for record in records:
            timestamp_ms, client_id, workload_id, line = encode(record)
            parts.setdefault((timestamp_ms // DAY_MS, client_id, workload_id), []).append(line)
        if not parts:
            return AppendReport(stored=0, already_stored=0)
        try:
            with writing(self._root):
                stored = sum(self._append_new(self._path(*part), lines) for part, lines in parts.items())
        except OSError as error:
            raise DataError(
                f"the log store {self._root} cannot be written ({error.strerror or error}); "
                "check that it is a folder, its permissions and the free space"
            ) from error
        return AppendReport(stored=stored, already_stored=sum(map(len, parts.values())) - stored)

    def delete(self, query: LogQuery) -> int:
        """Delete the query's records, whatever its limit; returns how many there were.

        Lines of others keep their bytes. Raises DataError, and changes that file in nothing, when it is
        damaged or cannot be written, and for another program's file that changes meanwhile.
        """
        # It takes the lock, which is defined here.
        from include.flywheel.logs.deleting import delete_records  # noqa: PLC0415

        return delete_records(self._root, query)

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

    def statistics(self, client_id: str | None = None, workload_id: str | None = None) -> StoreStatistics:
        """Traffic by day, client and workload. Raises DataError when the files cannot be read."""
        # DuckDB takes a quarter of a second to load: not each time that DAGs are parsed.
        from include.flywheel.logs.file_statistics import file_statistics  # noqa: PLC0415

        return file_statistics(self._root, client_id, workload_id)

    def _all_lines(self) -> Iterator[bytes]:
        """Every line that is not blank; an empty one stands for the rest of a damaged .gz."""
        for file in log_files(self._root):
            try:
                with open_lines(file.path) as lines:
                    yield from (line for line in lines if line.strip())
            except BROKEN_GZIP:
                yield b""
            except OSError as error:
                raise DataError(
                    f"{file.path} cannot be read ({error.strerror or error}): run again"
                ) from error

    def _path(self, day: int, client_id: str, workload_id: str) -> Path:
        return self._root / f"dt={day_of(day * DAY_MS)}" / file_name(client_id, workload_id)

    def _append_new(self, path: Path, lines: list[bytes]) -> int:
        known = self._known.of(path)
        by_digest = {line_digest(line): line for line in lines}
        new = {digest: line for digest, line in by_digest.items() if digest not in known.digests}
        if new:
            path.parent.mkdir(exist_ok=True)
            content = b"\n".join(new.values()) + b"\n"
            before, after = _write_at_end(path, content)
            if after == before + len(content):
                known.wrote(new, before, after)
        return len(new)


@contextmanager
def writing(root: Path) -> Iterator[None]:
    """Only one process at a time decides what is new and writes below `root`."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write_at_end(path: Path, content: bytes) -> tuple[int, int]:
    """Append in one write; after a torn last line the content begins on a line of its own.

    Returns the length of the file before and after.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            content = b"\n" + content
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        return size, os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def _extend(summary: WorkloadSummary, timestamp_ms: int | None) -> None:
    summary.records += 1
    if timestamp_ms is not None:
        summary.first_ms = min(timestamp_ms, summary.first_ms or timestamp_ms)
        summary.last_ms = max(timestamp_ms, summary.last_ms or timestamp_ms)

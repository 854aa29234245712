"""The sink that appends to files: `<root>/dt=YYYY-MM-DD/calls.<host>.<process>.<token>.jsonl`.

The flywheel's file log store reads every `*.jsonl` of its day folders. A file is of one process, so nothing
is shared, and a write that failed half-way can be taken back.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from .sinks import RETRY, WRITTEN, Line, Outcome


class FileSink:
    """Writes below `root`, which is made when it is missing; one write a batch and UTC day.

    Whole lines alone are left behind, but for the last one of a process that was killed while it wrote.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self._root = Path(root)
        self._process = 0
        self._name = ""

    def __repr__(self) -> str:
        return f"FileSink({str(self._root)!r})"

    def write(self, lines: Sequence[Line]) -> list[Outcome]:
        """Append each line to the file of its day; a day that failed is asked for again."""
        by_day: dict[str, list[int]] = {}
        for number, line in enumerate(lines):
            by_day.setdefault(_day_of(line.timestamp_ms), []).append(number)
        outcomes = [RETRY] * len(lines)
        for day, numbers in by_day.items():
            outcome = self._append(day, b"".join(lines[number].body + b"\n" for number in numbers))
            for number in numbers:
                outcomes[number] = outcome
        return outcomes

    def close(self) -> None:
        """Nothing is held between writes."""

    def _append(self, day: str, content: bytes) -> Outcome:
        path = self._root / f"dt={day}" / self._file_name()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _append_whole(path, content)
        except OSError as error:
            return Outcome("retry", f"{path.parent}: {error.strerror or error}")
        return WRITTEN

    def _file_name(self) -> str:
        # A forked process needs a file of its own.
        if self._process != os.getpid():
            self._process = os.getpid()
            host = re.sub(r"[^A-Za-z0-9-]+", "-", socket.gethostname())[:40]
            self._name = f"calls.{host}.{self._process}.{uuid4().hex[:12]}.jsonl"
        return self._name


def _append_whole(path: Path, content: bytes) -> None:
    """Append all of `content`, or nothing and raise OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        # Where an earlier failure could not be taken back, its torn line is ended first.
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            content = b"\n" + content
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(descriptor, view) :]
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def _day_of(timestamp_ms: int) -> str:
    return datetime.fromtimestamp(timestamp_ms // 1000, tz=UTC).strftime("%Y-%m-%d")

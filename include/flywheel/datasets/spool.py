"""A scratch file that holds valid records between the two passes, so that memory holds only keys."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

BUFFER_BYTES = 256 * 1024

SHARED_BYTES = 16 * 1024 * 1024
"""System texts and tools that are kept in memory once, instead of in every record; more go to the file."""


class Place(NamedTuple):
    """Where a record stands: numbers of its shared head and tail, and what is between them in the file."""

    offset: int
    middle_bytes: int
    side_bytes: int
    head: int
    tail: int


class Spool:
    """Records by place. The file has no name and is gone with the process, however that ends."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._file = tempfile.TemporaryFile(dir=folder, buffering=BUFFER_BYTES)  # noqa: SIM115
        self._end = 0
        self._flushed = True
        self._shared: dict[bytes, int] = {b"": 0}
        self._parts: list[bytes] = [b""]
        self._shared_bytes = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, head: bytes, middle: bytes, tail: bytes, side: bytes) -> Place:
        """Append a record: its training row in three parts, and what the row does not tell."""
        shared_head, shared_tail = self._number(head), self._number(tail)
        if shared_head is None:
            middle = head + middle
        if shared_tail is None:
            middle += tail
        place = Place(self._end, len(middle), len(side), shared_head or 0, shared_tail or 0)
        self._file.write(middle + side)
        self._end += len(middle) + len(side)
        self._flushed = False
        return place

    def row(self, place: Place) -> bytes:
        """The training row at a place."""
        middle = self._read(place.offset, place.middle_bytes)
        return self._parts[place.head] + middle + self._parts[place.tail]

    def record(self, place: Place) -> tuple[bytes, bytes]:
        """The training row at a place, and its side."""
        content = self._read(place.offset, place.middle_bytes + place.side_bytes)
        middle, side = content[: place.middle_bytes], content[place.middle_bytes :]
        return self._parts[place.head] + middle + self._parts[place.tail], side

    def shared_lengths(self) -> list[int]:
        """The length of each shared part, by number."""
        return [len(part) for part in self._parts]

    def _number(self, part: bytes) -> int | None:
        number = self._shared.get(part)
        if number is None and self._shared_bytes + len(part) <= SHARED_BYTES:
            number = self._shared[part] = len(self._parts)
            self._parts.append(part)
            self._shared_bytes += len(part)
        return number

    def _read(self, offset: int, length: int) -> bytes:
        if not self._flushed:
            self._file.flush()
            self._flushed = True
        return os.pread(self._file.fileno(), length, offset)

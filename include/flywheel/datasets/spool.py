"""A scratch file that holds valid records between the two passes, so that memory holds only keys."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType

from include.flywheel.datasets.records import Record


class Spool:
    """Records by offset. The file has no name and is gone with the process, however that ends."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by __exit__)
        self._end = 0

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, content: bytes) -> int:
        """Append one record's bytes; returns their offset. Not to be mixed with `get`."""
        offset = self._end
        self._file.write(content)
        self._end += len(content)
        return offset

    def get(self, offset: int, length: int) -> Record:
        """The record at that place."""
        self._file.seek(offset)
        return Record.from_bytes(self._file.read(length))

"""Lines of .jsonl and .jsonl.gz files, streamed."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, cast

from include.flywheel.errors import DataError

MAX_LINE_BYTES = 64 * 1024 * 1024
"""A longer line is no log record; it is refused before it fills the memory."""

BROKEN_GZIP = (EOFError, gzip.BadGzipFile, zlib.error)
"""What reading a truncated or damaged .gz raises."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_GZIP_MAGIC = b"\x1f\x8b"
_BUFFER_BYTES = 1024 * 1024


def open_lines(path: Path) -> BinaryIO:
    """The file's decompressed bytes; whether it is compressed is told by its content, not by its name."""
    return _decompressed(_open(path))


def _open(path: Path) -> io.BufferedReader:
    return cast("io.BufferedReader", path.open("rb", buffering=_BUFFER_BYTES))


def _decompressed(file: io.BufferedReader) -> BinaryIO:
    if file.peek(2)[:2] != _GZIP_MAGIC:
        return file
    return cast("BinaryIO", _OwningGzip(file))


class _OwningGzip(gzip.GzipFile):
    """Closes the file below, which GzipFile leaves open when it was handed one."""

    def __init__(self, file: BinaryIO) -> None:
        self._below = file
        super().__init__(fileobj=file, mode="rb")

    def close(self) -> None:
        super().close()
        self._below.close()


class LineSource:
    """The lines of one input, and how far it was read.

    :param path: a file, plain or .gz; `-` is the standard input.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = "stdin" if str(path) == "-" else path.name
        self._file: io.BufferedReader | None = None
        self._position_bytes = 0

    @property
    def size_bytes(self) -> int | None:
        """Length of the file as it lies on the disk; None where it has no end that is known."""
        try:
            return self.path.stat().st_size if self.path.is_file() else None
        except OSError:
            return None

    @property
    def position_bytes(self) -> int:
        """How much of the file was read, in its own bytes (compressed ones of a .gz)."""
        if self._file is not None and not self._file.closed:
            # A pipe cannot tell; it has no length to compare with either.
            with suppress(OSError):
                self._position_bytes = self._file.tell()
        return self._position_bytes

    @property
    def share(self) -> float | None:
        """How much of the file was read, 0 to 1; None where it has no end that is known."""
        size = self.size_bytes
        return min(1.0, self.position_bytes / size) if size else None

    def __iter__(self) -> Iterator[bytes]:
        """The lines without their ends.

        Raises DataError when the file cannot be opened, is a truncated or damaged .gz (after the lines that
        could be read), or holds a line above MAX_LINE_BYTES.
        """
        number = 0
        try:
            if str(self.path) == "-":
                self._file = cast("io.BufferedReader", sys.stdin.buffer)
            else:
                self._file = _open(self.path)
            with _decompressed(self._file) as file:
                while line := file.readline(MAX_LINE_BYTES + 1):
                    if len(line) > MAX_LINE_BYTES:
                        raise DataError(
                            f"{self.path}: line {number + 1} is longer than {MAX_LINE_BYTES >> 20} MiB; "
                            "log records are one JSON object a line"
                        )
                    number += 1
                    yield line.rstrip(b"\r\n").removeprefix(_BYTE_ORDER_MARK if number == 1 else b"")
        except BROKEN_GZIP as error:
            raise DataError(
                f"{self.path}: the compressed file is truncated or damaged after line {number} ({error}); "
                "copy it again and load it again: lines that are stored already are not stored twice"
            ) from None
        except OSError as error:
            raise DataError(
                f"{self.path}: cannot be read ({error.strerror or error}); check the path"
            ) from None


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file of log records, without their ends. Raises DataError as `LineSource`."""
    return iter(LineSource(path))

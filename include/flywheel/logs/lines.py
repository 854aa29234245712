"""Lines of .jsonl and .jsonl.gz files, streamed."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from include.flywheel.errors import DataError

MAX_LINE_BYTES = 64 * 1024 * 1024
"""A longer line is no log record; it is refused before it fills the memory."""

BROKEN_GZIP = (EOFError, gzip.BadGzipFile, zlib.error)
"""What reading a truncated or damaged .gz raises."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_GZIP_MAGIC = b"\x1f\x8b"


def open_lines(path: Path) -> BinaryIO:
    """The file's decompressed bytes; whether it is compressed is told by its content, not by its name."""
    file = path.open("rb")
    magic = file.read(2)
    file.seek(0)
    if magic != _GZIP_MAGIC:
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


def read_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file of log records, without their ends.

    Raises DataError when the file cannot be opened, is a truncated or damaged .gz (after the lines that
    could be read), or holds a line above MAX_LINE_BYTES.
    """
    number = 0
    try:
        with open_lines(path) as file:
            while line := file.readline(MAX_LINE_BYTES + 1):
                if len(line) > MAX_LINE_BYTES:
                    raise DataError(
                        f"{path}: line {number + 1} is longer than {MAX_LINE_BYTES >> 20} MiB; "
                        "log records are one JSON object a line"
                    )
                number += 1
                yield line.rstrip(b"\r\n").removeprefix(_BYTE_ORDER_MARK if number == 1 else b"")
    except BROKEN_GZIP as error:
        raise DataError(
            f"{path}: the compressed file is truncated or damaged after line {number} ({error}); "
            "copy it again and load it again: lines that are stored already are not stored twice"
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); check the path") from None

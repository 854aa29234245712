"""Closing past days of the file log store: the open file of a day becomes a .gz."""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from include.flywheel.errors import DataError
from include.flywheel.logs.files import writing
from include.flywheel.logs.known_lines import line_digest
from include.flywheel.logs.lines import BROKEN_GZIP, open_lines
from include.flywheel.logs.partitions import LogFile, log_files
from include.flywheel.logs.timestamps import start_of_day_ms

_COMPRESSION = 6


class ClosedFile(BaseModel):
    """One file that was closed."""

    model_config = ConfigDict(extra="forbid")

    path: str
    open_bytes: int = Field(ge=0)
    closed_bytes: int = Field(ge=0)


def close_days(root: Path, *, before: str, today: str) -> Iterator[ClosedFile]:
    """Close the store's own files of the days before `before` (`YYYY-MM-DD`, UTC), one after the other.

    Safe to repeat and to kill: a record is at every moment in the open file, in the .gz, or in both; what was
    left in both is merged the next time. Files of other programs are theirs to close.

    Raises DataError for a day that is none or after `today`, for a damaged .gz (nothing is changed then), and
    when the files cannot be written.
    """
    try:
        end_ms = start_of_day_ms(before)
    except ValueError:
        raise DataError(f"{before!r} is no day; write it as YYYY-MM-DD") from None
    if end_ms > start_of_day_ms(today):
        raise DataError(f"days before {before} include today, {today} (UTC), which is still written to")
    for file in log_files(root):
        if file.own and file.start_ms < end_ms and file.path.suffix == ".jsonl":
            with writing(root):
                # Another process may have closed it while this one waited.
                if file.path.exists():
                    yield _close(root, file)


def _close(root: Path, file: LogFile) -> ClosedFile:
    closed = file.path.with_name(f"{file.path.name}.gz")
    temporary = file.path.with_name(f".{file.path.name}.gz.tmp")
    open_bytes = file.path.stat().st_size
    try:
        with (
            temporary.open("wb") as target,
            gzip.GzipFile(
                filename="", mode="wb", compresslevel=_COMPRESSION, fileobj=target, mtime=0
            ) as packed,
        ):
            stored = _copy_closed(closed, packed) if closed.exists() else set()
            with open_lines(file.path) as lines:
                for line in lines:
                    content = line.rstrip(b"\r\n")
                    if not stored or line_digest(content) not in stored:
                        packed.write(content + b"\n")
        _to_disk(temporary)
        temporary.replace(closed)
        _to_disk(closed.parent)
        file.path.unlink()
    except BROKEN_GZIP as error:
        temporary.unlink(missing_ok=True)
        raise DataError(
            f"{closed} is damaged ({error}), so {file.path.name} is not merged into it; restore it, or move "
            "it away"
        ) from None
    except OSError as error:
        raise DataError(
            f"{file.path} cannot be closed ({error.strerror or error}); check permissions and free space: "
            "nothing is lost"
        ) from error
    return ClosedFile(
        path=str(closed.relative_to(root)), open_bytes=open_bytes, closed_bytes=closed.stat().st_size
    )


def _copy_closed(closed: Path, packed: gzip.GzipFile) -> set[bytes]:
    """Copy what is closed already; answers the digests of its lines."""
    digests = set()
    with open_lines(closed) as lines:
        for line in lines:
            content = line.rstrip(b"\r\n")
            digests.add(line_digest(content))
            packed.write(content + b"\n")
    return digests


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

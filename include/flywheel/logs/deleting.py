"""Deleting records from the file log store, file by file."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from include.flywheel.errors import DataError
from include.flywheel.logs.files import writing
from include.flywheel.logs.lines import BROKEN_GZIP, MAX_LINE_BYTES, open_lines
from include.flywheel.logs.partitions import LogFile, log_files
from include.flywheel.logs.selection import Selection
from include.flywheel.logs.store import LogQuery


def delete_records(root: Path, query: LogQuery) -> int:
    """Delete the query's records, whatever its limit; returns how many there were.

    Safe to repeat and to kill: each file is whole, as it was or without the records. Raises DataError, as
    `FileLogStore.delete` says.
    """
    if not root.is_dir():
        return 0
    selection = Selection(query)
    with writing(root):
        return sum(_delete(file, selection) for file in log_files(root) if selection.may_hold(file))


def _delete(file: LogFile, selection: Selection) -> int:
    """Write the file anew only where a first reading finds something to delete."""
    try:
        before = _state(file.path)
        found, others = _count(file, selection)
        if found and others:
            _rewrite(file, selection, before)
        elif found:
            _refuse_changed(file.path, before)
            file.path.unlink()
    except BROKEN_GZIP as error:
        raise DataError(
            f"{file.path} is damaged ({error}), so nothing of it is deleted; restore it, or move it away"
        ) from None
    except OSError as error:
        raise DataError(
            f"records of {file.path} cannot be deleted ({error.strerror or error}); check permissions and "
            "free space: the file is as it was"
        ) from error
    return found


def _count(file: LogFile, selection: Selection) -> tuple[int, int]:
    """How many lines have to go, and how many stay."""
    found = others = 0
    for _, goes in _lines(file, selection):
        found, others = found + goes, others + (not goes)
    return found, others


def _rewrite(file: LogFile, selection: Selection, before: tuple[int, int]) -> None:
    temporary = file.path.with_name(f".{file.path.name}.tmp")
    try:
        with _like(file.path, temporary) as target:
            for line, goes in _lines(file, selection):
                if not goes:
                    target.write(line)
        shutil.copymode(file.path, temporary)
        _refuse_changed(file.path, before)
        temporary.replace(file.path)
    finally:
        temporary.unlink(missing_ok=True)


def _lines(file: LogFile, selection: Selection) -> Iterator[tuple[bytes, bool]]:
    """Each line, and whether it is of the query. A line beyond the limit comes, and is judged, in pieces."""
    own = selection.owns(file)
    with open_lines(file.path) as lines:
        while line := lines.readline(MAX_LINE_BYTES):
            yield line, selection.time_of(line, file, own=own) is not None


@contextmanager
def _like(path: Path, target: Path) -> Iterator[BinaryIO]:
    """A new file, compressed where `path` is; it is on the disk afterwards."""
    with target.open("wb") as file:
        if path.suffix == ".gz":
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
                yield cast("BinaryIO", packed)
        else:
            yield file
        file.flush()
        os.fsync(file.fileno())


def _refuse_changed(path: Path, before: tuple[int, int]) -> None:
    if _state(path) != before:
        raise DataError(
            f"{path} is being written to, so nothing of it is deleted: delete again when its writer is done"
        )


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns

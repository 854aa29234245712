"""Files of one evaluation job: the rows' results, the log, and the zips that are downloaded."""

from __future__ import annotations

import io
import json
import math
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from include.nemo_local import clock

_LOGGED_ROW_ERRORS = 100


class RowFile:
    """A JSON array on disk, written row by row; it takes its name when it is whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_suffix(".partial")
        self.count = 0

    def __enter__(self) -> RowFile:
        self._file = self._partial.open("wb")
        self._file.write(b"[")
        return self

    def add(self, row: dict[str, Any]) -> None:
        """NaN is written as null."""
        try:
            line = orjson.dumps(row)
        except TypeError:
            # Integers beyond 64 bits and lone surrogates, which JSON text may hold.
            line = json.dumps(_without_nan(row)).encode()
        self._file.write((b",\n" if self.count else b"\n") + line)
        self.count += 1

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._file.write(b"\n]\n")
        self._file.close()
        if kind is None:
            self._partial.replace(self._path)
        else:
            self._partial.unlink(missing_ok=True)


class JobLog:
    """What the job's log shows: lines with their times; errors of rows up to a bound, then their number."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._row_errors = 0

    def say(self, text: str) -> None:
        """Writes nothing for a job whose folder is gone: it was deleted."""
        with suppress(FileNotFoundError), self._path.open("a", encoding="utf-8") as file:
            file.write(f"{clock.stamp()} {text}\n")

    def row_error(self, row: dict[str, Any]) -> None:
        self._row_errors += 1
        if self._row_errors <= _LOGGED_ROW_ERRORS:
            self.say(f"row {row['id']}: {row['error']}")

    def finish(self) -> None:
        """Says how many errors of rows were left out."""
        more = self._row_errors - _LOGGED_ROW_ERRORS
        if more > 0:
            self.say(f"{more} more rows with errors; results.json names them all")


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_without_nan(entry) for entry in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def zipped(source: Path, target: Path) -> None:
    """Moves a file into a zip of its own, which takes its name when it is whole."""
    partial = target.with_suffix(".partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.write(source, source.name)
    partial.replace(target)
    source.unlink()


def zipped_log(path: Path) -> bytes:
    """A zip with the log so far, which is empty before the job has begun. It is bounded, and so is this."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("evaluation.log", path.read_bytes() if path.exists() else b"")
    return made.getvalue()

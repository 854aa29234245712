"""Rows of a data set file as a stream, whatever its format: JSON lines, an array of JSON, CSV."""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from include.nemo_local.errors import JobFailed
from include.nemo_local.repositories import Repositories, parse_files_url
from include.nemo_local.scoring import Row

_CHUNK_BYTES = 1 << 16
_MAX_ROW_CHARACTERS = 1 << 24
_BETWEEN = " \t\r\n,"


def rows_of(repositories: Repositories, files_url: str) -> Iterator[Row]:
    """The rows of one file; ``.csv`` and ``.json`` by their names, JSON lines otherwise.

    Raises NotFound for what is not there, Invalid for another URL, JobFailed for a URL without a file.
    """
    repo, revision, path = parse_files_url(files_url)
    if not path:
        raise JobFailed(f"files_url {files_url} names no file: give hf://datasets/<ns>/<name>/<file>")
    commit = repositories.resolve(repo, revision)
    place = repositories.open_path(repo, commit, path)
    match Path(path).suffix.lower():
        case ".csv":
            return _csv_rows(place)
        case ".json":
            return _json_rows(place, path)
    return repositories.lines(repo, commit, [path])


def _csv_rows(place: Path) -> Iterator[dict[str, Any]]:
    with place.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        for row in csv.DictReader(file, restkey="_more", skipinitialspace=True):
            yield dict(row)


def _json_rows(place: Path, path: str) -> Iterator[Any]:
    """Elements of an array, one at a time; a file of JSON lines under that name is read as such."""
    with place.open("rb") as file:
        yield from _elements(iter(lambda: file.read(_CHUNK_BYTES), b""), path)


def _elements(chunks: Iterable[bytes], path: str) -> Iterator[Any]:
    decoder, decode = json.JSONDecoder(), codecs.getincrementaldecoder("utf-8")("replace").decode
    text, began = "", False
    for chunk in chunks:
        text += decode(chunk)
        if not began:
            text = text.lstrip(" \t\r\n\ufeff")
            began, text = bool(text), text.removeprefix("[")
        while (text := text.lstrip(_BETWEEN)) and not text.startswith("]"):
            try:
                element, end = decoder.raw_decode(text)
            except json.JSONDecodeError:
                # Its end is not read yet, or never comes.
                if len(text) > _MAX_ROW_CHARACTERS:
                    raise JobFailed(f"{path} is no JSON array: no row ends after {text[:40]!r}") from None
                break
            yield element
            text = text[end:]
    if text.strip(_BETWEEN) not in ("", "]"):
        raise JobFailed(f"{path} is no JSON array: it breaks off at {text[:40]!r}")

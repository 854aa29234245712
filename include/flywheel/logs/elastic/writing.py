"""Storing records in Elasticsearch: each once, by an id made of its content."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from elasticsearch import Elasticsearch

from include.flywheel.errors import DataError
from include.flywheel.logs.elastic.errors import telling
from include.flywheel.logs.known_lines import line_digest

BULK_BYTES = 8 * 1024 * 1024
BULK_RECORDS = 1000
ATTEMPTS = 8
FIRST_PAUSE_SECONDS = 0.25
_CREATED, _CONFLICT, _BUSY = 201, 409, 429


@dataclass(slots=True)
class Entry:
    """One record to be stored: its position among those handed in, the id and the line."""

    position: int
    id: str
    line: bytes

    @classmethod
    def of(cls, position: int, line: bytes) -> Entry:
        """The id is the digest of the line: the same record has the same id."""
        return cls(position, line_digest(line).hex(), line)


@dataclass(slots=True)
class Written:
    """What became of the entries: counts, and the refused positions with the reason."""

    stored: int
    already_stored: int
    refused: dict[int, str]


class BulkWriter:
    """Writes entries with `_bulk` and `create`, the one operation that data streams take.

    :param pause_seconds: before the first repetition of what a busy cluster refused; doubles each time.
    """

    def __init__(
        self, client: Elasticsearch, index: str, *, pause_seconds: float = FIRST_PAUSE_SECONDS
    ) -> None:
        self._client, self._index, self._pause_seconds = client, index, pause_seconds

    def write(self, entries: Sequence[Entry]) -> Written:
        """Store what is not stored. Raises DataError when the cluster stays busy or cannot be reached."""
        written = Written(0, 0, {})
        for batch in _batches(entries):
            left, pause_seconds = batch, self._pause_seconds
            for _ in range(ATTEMPTS):
                left = self._write_once(left, written)
                if not left:
                    break
                time.sleep(pause_seconds)
                pause_seconds *= 2
            else:
                raise DataError(
                    f"index {self._index!r}: the cluster refused {len(left)} records {ATTEMPTS} times "
                    "because it is busy (429); load again later: what is stored is not stored twice"
                )
        return written

    def known(self, ids: Sequence[str]) -> set[str]:
        """Which of the ids any index behind the name holds."""
        with telling(self._index, "looking for stored records"):
            answer = self._client.search(
                index=self._index, query={"ids": {"values": list(ids)}}, size=len(ids), source=False
            )
        return {hit.id for hit in answer["hits"].hits}

    def _write_once(self, entries: list[Entry], written: Written) -> list[Entry]:
        """One request; answers what a busy cluster refused."""
        # The client passes bytes through as they are.
        operations: list[Any] = []
        for entry in entries:
            operations += (b'{"create":{"_id":"%s"}}' % entry.id.encode(), entry.line)
        with telling(self._index, "storing records"):
            answer = self._client.bulk(index=self._index, operations=operations)
        busy = []
        for entry, item in zip(entries, answer["items"], strict=True):
            result: dict[str, Any] = item["create"]
            if result["status"] == _CREATED:
                written.stored += 1
            elif result["status"] == _CONFLICT:
                written.already_stored += 1
            elif result["status"] == _BUSY:
                busy.append(entry)
            else:
                written.refused[entry.position] = _why(result)
        return busy


def with_time(line: bytes, timestamp_ms: int) -> bytes:
    """The line of a record with the field that every document of a data stream needs."""
    if b'"@timestamp"' in line and "@timestamp" in orjson.loads(line):
        return line
    return line[:-1] + b',"@timestamp":%d}' % timestamp_ms


def _batches(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        if batch and (size + len(entry.line) > BULK_BYTES or len(batch) >= BULK_RECORDS):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += len(entry.line)
    if batch:
        yield batch


def _why(result: dict[str, Any]) -> str:
    error = result.get("error") or {}
    return f"{result['status']} {error.get('type')}: {error.get('reason')}"[:200]

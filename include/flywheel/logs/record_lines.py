"""Record lines: how the store writes one, and whose a line is without decoding more than needed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from include.flywheel.errors import DataError
from include.flywheel.logs.timestamps import to_milliseconds

_TEXT = rb'"(?:[^"\\]|\\.)*"'
_HEAD = re.compile(rb'\{"timestamp":(\d+),"client_id":(' + _TEXT + rb'),"workload_id":(' + _TEXT + rb")[,}]")
_PLAIN = re.compile(r"^[A-Za-z0-9_.:-]+$")


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose a line is, and when. `client_id` is None when the line cannot be decoded or has no such ids."""

    client_id: str | None
    workload_id: str | None
    timestamp_ms: int | None
    decodable: bool = True


def encode(record: Mapping[str, Any]) -> tuple[int, str, str, bytes]:
    """(Unix milliseconds, client, workload, line) of a record; its timestamp becomes milliseconds.

    The three keys come first, so that `owner` need not decode the rest. Raises DataError when one is missing.
    """
    client_id, workload_id = record.get("client_id"), record.get("workload_id")
    timestamp_ms = to_milliseconds(record.get("timestamp"))
    if not isinstance(client_id, str) or not isinstance(workload_id, str) or timestamp_ms is None:
        raise DataError(
            "a log record needs `timestamp` (Unix time), `client_id` and `workload_id`; got "
            f"{record.get('timestamp')!r}, {client_id!r}, {workload_id!r}"
        )
    # The keys keep these places when their values are set again.
    document: dict[str, Any] = {"timestamp": timestamp_ms, "client_id": client_id, "workload_id": workload_id}
    document.update(record)
    document["timestamp"] = timestamp_ms
    try:
        return timestamp_ms, client_id, workload_id, orjson.dumps(document)
    except orjson.JSONEncodeError as error:
        raise DataError(f"a log record of {client_id!r}, {workload_id!r} is not JSON: {error}") from None


def owner(line: bytes) -> Owner:
    """Whose `line` is; lines of this store are told by their head, others are decoded."""
    head = _HEAD.match(line)
    if head:
        return Owner(orjson.loads(head[2]), orjson.loads(head[3]), to_milliseconds(int(head[1])))
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        return Owner(None, None, None, decodable=False)
    if not isinstance(document, dict):
        return Owner(None, None, None, decodable=False)
    client_id, workload_id = document.get("client_id"), document.get("workload_id")
    if not isinstance(client_id, str) or not isinstance(workload_id, str):
        return Owner(None, None, to_milliseconds(document.get("timestamp")))
    return Owner(client_id, workload_id, to_milliseconds(document.get("timestamp")))


def marks(*ids: str) -> list[bytes]:
    """Byte strings that every line of these ids contains.

    Ids whose characters JSON writers may escape have no such mark: their lines are decoded.
    """
    return [name.encode() for name in ids if _PLAIN.match(name)]

"""Digests: of a request, of an answer, of a file, of a dataset."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO

import orjson

from include.flywheel.datasets.arguments import Message, as_object, map_arguments, with_content


def request_digest(messages: list[Message], tools: Sequence[Mapping[str, Any]]) -> bytes:
    """16 bytes over the canonical JSON of the messages and the tools.

    Key order does not matter, nor whether earlier tool calls carry their arguments as text or as an object,
    nor whether an assistant message without text says so by "", null or nothing.
    """
    canonical = {"messages": with_content(map_arguments(messages, as_object)), "tools": tools}
    return hashlib.blake2b(orjson.dumps(canonical, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()


def calls_digest(calls: Iterable[tuple[str, Any]]) -> int:
    """64 bits over (name, arguments) of tool calls as a multiset; numbers compare by value (1 is 1.0)."""
    parts = sorted(orjson.dumps([name, _plain(args)], option=orjson.OPT_SORT_KEYS) for name, args in calls)
    return int.from_bytes(hashlib.blake2b(b"\n".join(parts), digest_size=8).digest(), "big")


def text_digest(text: str) -> int:
    """64 bits over a text, never 0."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") or 1


def dataset_digest(files: Mapping[str, str]) -> str:
    """SHA-256 over the sorted (name, digest) of a dataset's files, hexadecimal."""
    return hashlib.sha256(orjson.dumps(sorted(files.items()))).hexdigest()


class HashingWriter:
    """Writes lines to a binary file; counts and digests them on the way."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        self.bytes = 0
        self.lines = 0

    def write_line(self, line: bytes) -> None:
        """Write `line` and its end."""
        content = line + b"\n"
        self._file.write(content)
        self._sha256.update(content)
        self.bytes += len(content)
        self.lines += 1

    @property
    def sha256(self) -> str:
        """Hexadecimal digest of everything written so far."""
        return self._sha256.hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value

"""Digests: of a message, a request, an answer, a file, a dataset."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, BinaryIO

import orjson

from include.flywheel.datasets.arguments import Message, as_object, map_arguments, with_content

_HELD_BYTES = 256 * 1024


def message_digest(message: Message) -> bytes:
    """16 bytes over the canonical JSON of a message.

    Key order does not matter, nor whether tool calls carry their arguments as text or as an object, nor
    whether an assistant message without text says so by "", null or nothing.
    """
    [canonical] = with_content(map_arguments([message], as_object))
    return canonical_digest(canonical)


def canonical_digest(message: Message) -> bytes:
    """The digest of a message whose arguments are objects and whose content is "" where it has none."""
    return _digest(orjson.dumps(message, option=orjson.OPT_SORT_KEYS))


def tools_digest(tools: Sequence[Mapping[str, Any]]) -> bytes:
    """16 bytes over the canonical JSON of the tools that a request offers; b"" when it offers none."""
    return _digest(orjson.dumps(tools, option=orjson.OPT_SORT_KEYS)) if tools else b""


def combined_digest(messages: Iterable[bytes], tools: bytes) -> bytes:
    """16 bytes over the digests of a request's messages and of its tools."""
    return _digest(b"".join(messages) + b"/" + tools)


def request_digest(messages: Iterable[Message], tools: Sequence[Mapping[str, Any]]) -> bytes:
    """16 bytes that stand for the whole request, messages and tools."""
    return combined_digest(map(message_digest, messages), tools_digest(tools))


def calls_digest(calls: Iterable[tuple[str, Any]]) -> int:
    """64 bits over (name, arguments) of tool calls as a multiset; numbers compare by value (1 is 1.0)."""
    parts = sorted(orjson.dumps([name, _plain(args)], option=orjson.OPT_SORT_KEYS) for name, args in calls)
    return int.from_bytes(hashlib.blake2b(b"\n".join(parts), digest_size=8).digest(), "big")


def text_digest(text: str) -> int:
    """64 bits over a text, never 0."""
    return int.from_bytes(hashlib.blake2b(_utf8(text), digest_size=8).digest(), "big") or 1


def dataset_digest(files: Mapping[str, str]) -> str:
    """SHA-256 over the sorted (name, digest) of a dataset's files, hexadecimal."""
    return hashlib.sha256(orjson.dumps(sorted(files.items()))).hexdigest()


class HashingWriter:
    """Writes lines to a binary file in blocks; counts and digests them. `close` writes the rest."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        self._held: list[bytes] = []
        self._held_bytes = 0
        self.bytes = 0
        self.lines = 0

    def write_line(self, line: bytes) -> None:
        """Write `line` and its end."""
        self._held.append(line)
        self._held_bytes += len(line) + 1
        self.lines += 1
        if self._held_bytes >= _HELD_BYTES:
            self.close()

    def close(self) -> None:
        """Write what is still held. The file itself stays open."""
        if not self._held:
            return
        self._held.append(b"")
        content = b"\n".join(self._held)
        self._file.write(content)
        self._sha256.update(content)
        self.bytes += len(content)
        self._held, self._held_bytes = [], 0

    @property
    def sha256(self) -> str:
        """Hexadecimal digest of everything written so far."""
        return self._sha256.hexdigest()


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value

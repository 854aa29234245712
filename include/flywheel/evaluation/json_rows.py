"""Rows of a JSON array, one at a time, from a stream that is too large to hold."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import IO, Any

CHUNK_BYTES = 64 * 1024

_BLANK = " \t\r\n"


class RowsError(ValueError):
    """The stream is not a JSON array in UTF-8; the message says where it stops being one."""


def rows(stream: IO[bytes]) -> Iterator[Any]:
    """Yield the elements of the JSON array in `stream`; only one is held at a time.

    Elements are objects or arrays (a bare number could be cut in two by a chunk, so it is refused).
    Raises RowsError.
    """
    source = _Text(stream)
    if source.peek() != "[":
        raise RowsError(f"it begins with {source.peek()!r}, not with the bracket of an array")
    source.skip()
    number = 0
    while (mark := source.peek()) != "]":
        if number:
            if mark != ",":
                raise RowsError(
                    f"row {number - 1} is followed by {mark!r}, not by a comma or the closing bracket"
                )
            source.skip()
        yield source.element(number)
        number += 1
    source.skip()
    if source.peek():
        raise RowsError(f"{source.peek()!r} follows the closing bracket")


class _Text:
    """A window over the decoded stream that grows until an element fits."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._json = json.JSONDecoder()
        self._text = ""
        self._at = 0
        self._ended = False

    def _read(self, size_bytes: int) -> None:
        data = self._stream.read(size_bytes)
        self._ended = not data
        try:
            more = self._decoder.decode(data, final=self._ended)
        except UnicodeDecodeError as error:
            raise RowsError(f"it is not UTF-8 ({error.reason})") from error
        self._text = self._text[self._at :] + more
        self._at = 0

    def peek(self) -> str:
        """The next character that is not blank; "" at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _BLANK:
                    return self._text[self._at]
                self._at += 1
            if self._ended:
                return ""
            self._read(CHUNK_BYTES)

    def skip(self) -> None:
        """Step over the character that `peek` showed."""
        self._at += 1

    def element(self, number: int) -> Any:
        """Decode the object or array that begins here."""
        if self.peek() not in ("{", "["):
            raise RowsError(f"row {number} begins with {self.peek()!r}; it should be an object")
        # Doubling keeps the work linear in the length of a row that needs many reads.
        size_bytes = CHUNK_BYTES
        while True:
            try:
                value, self._at = self._json.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._ended:
                    raise RowsError(f"row {number} is broken or cut off ({error.msg})") from error
                self._read(size_bytes)
                size_bytes *= 2
            except RecursionError as error:
                raise RowsError(f"row {number} is nested too deeply") from error
            else:
                return value

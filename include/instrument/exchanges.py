"""One HTTP exchange with a model server, as bytes, and the record that it becomes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .assembly import CUT_OFF, STOPPED, Assembly
from .documents import Document, document, error_text
from .tally import Drop, LeftOut


@dataclass(slots=True, kw_only=True)
class Exchange:
    """What passed by: nothing of it is decoded before `record`.

    :param response_class: the HTTP library's own.
    :param ended: how the body ended: `complete`, `stopped` by the application, or the error's text.
    """

    tags: dict[str, str]
    began_ms: float
    embedding: bool
    max_bytes: int
    response_class: type[Any]
    request: bytes = b""
    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)
    size_bytes: int = 0
    latency_ms: float = 0.0
    ended: str = ""

    def add(self, chunk: bytes) -> None:
        """Keep a piece of the body, as long as the record may still be written."""
        self.size_bytes += len(chunk)
        if self.size_bytes <= self.max_bytes:
            self.chunks.append(chunk)

    def record(self) -> Document:
        """The record. Raises LeftOut when there is none to make."""
        if self.size_bytes > self.max_bytes:
            raise LeftOut(Drop.TOO_LARGE, "see the setting `max_record_bytes`")
        request = _object(self.request)
        if request is None:
            raise LeftOut(Drop.NOT_SERIALISABLE, "the body of the request is no JSON object")
        response, error = self._answer()
        if self.embedding:
            request = {name: request[name] for name in ("model", "input") if name in request}
            response = _without_vectors(response)
        return document(
            timestamp_ms=int(self.began_ms),
            tags=self.tags,
            request=request,
            response=response,
            latency_ms=self.latency_ms,
            error=None if error is None else error_text(error),
        )

    def _answer(self) -> tuple[Document | None, str | None]:
        broken = None if self.ended in ("complete", "stopped") else self.ended
        try:
            body = self._decoded()
        except Exception as error:
            return None, broken or error_text(error)
        if self.status >= 400:
            return None, f"HTTP {self.status}: {_message(body)}"
        if any("text/event-stream" in value for name, value in self.headers if name == "content-type"):
            return _of_events(body, self.max_bytes, ended=self.ended)
        response = _object(body)
        if response is not None:
            return response, broken
        if self.ended == "stopped":
            raise LeftOut(Drop.RESPONSE_NOT_READ, "the application closed the response before its end")
        return None, broken or "the answer is no JSON object"

    def _decoded(self) -> bytes:
        """The body without its content encoding, undone by the HTTP library itself."""
        whole = self.response_class(self.status, headers=self.headers, content=b"".join(self.chunks))
        return bytes(whole.content)


def _of_events(body: bytes, max_bytes: int, *, ended: str) -> tuple[Document | None, str | None]:
    assembly = Assembly(max_bytes)
    over, error = False, None
    for data in _events(body):
        if data.strip() == b"[DONE]":
            over = True
            break
        chunk = _object(data)
        if chunk is not None and chunk.get("error"):
            error = _message(data)
        elif chunk is not None:
            assembly.add(chunk)
    if error is None and not assembly.finished:
        if ended not in ("complete", "stopped"):
            error = ended
        elif not over:
            error = STOPPED if ended == "stopped" else CUT_OFF
    return assembly.response(), error


def _events(body: bytes) -> Iterator[bytes]:
    """The data of each server-sent event."""
    data: list[bytes] = []
    for line in body.splitlines():
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif not line and data:
            yield b"\n".join(data)
            data = []
    if data:
        yield b"\n".join(data)


def _message(body: bytes) -> str:
    answer = _object(body)
    error: Any = answer.get("error", answer) if answer is not None else body.decode("utf-8", "replace")
    if isinstance(error, dict):
        error = error.get("message", error)
    return str(error)


def _without_vectors(response: Document | None) -> Document | None:
    if response is None:
        return None
    return {name: response[name] for name in ("object", "model", "usage") if name in response}


def _object(body: bytes) -> Document | None:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None

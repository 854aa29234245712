"""Event hooks for httpx: they read along while the application reads, and never read themselves.

Everything of the library that they need is had from the objects that it hands them, so that its successors
with the same interface (httpx2) work as well, and whoever has none of them can import this.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from .exchanges import Exchange
from .tally import Drop, LeftOut

if TYPE_CHECKING:
    from .recorder import Recorder

Hooks = dict[str, list[Callable[[Any], Any]]]

_STREAMS = {"SyncByteStream", "AsyncByteStream"}
_CHAT, _EMBEDDINGS = "/chat/completions", "/embeddings"
_BEGUN = "flywheel_instrument"


class _Call:
    """One exchange on its way; recorded once, when its body ends."""

    def __init__(self, recorder: Recorder, request: Any, response: Any) -> None:
        began_ms, began, tags = request.extensions.pop(_BEGUN)
        self._recorder, self._began = recorder, began
        self._process = os.getpid()
        self._ended = self._read = False
        self._fault: Drop | None = None
        self.exchange = Exchange(
            tags=tags,
            began_ms=began_ms,
            embedding=request.url.path.rstrip("/").endswith(_EMBEDDINGS),
            max_bytes=recorder.settings.max_record_bytes,
            response_class=type(response),
            status=response.status_code,
            headers=[
                (name, response.headers[name])
                for name in ("content-type", "content-encoding")
                if name in response.headers
            ],
        )
        try:
            # A redirected request has its bytes in its stream alone; these can be read again and again.
            known = type(request.stream).__name__ == "ByteStream"
            self.exchange.request = b"".join(request.stream) if known else request.content
        except Exception:
            self._fault = Drop.REQUEST_NOT_READ

    def add(self, chunk: bytes) -> bytes:
        """Read a piece along."""
        self._read = True
        if not self._ended:
            self.exchange.add(chunk)
        return chunk

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Around the reading of the body: however it ends is how the exchange ended."""
        try:
            yield
        except GeneratorExit:
            self.end("stopped")
            raise
        except BaseException as error:
            self.end(f"{type(error).__name__}: {error}")
            raise
        self.end("complete")

    def end(self, how: str) -> None:
        """The body is over; the first to say so is right."""
        if self._ended or self._process != os.getpid():
            return
        self._ended = True
        exchange = self.exchange
        exchange.ended = how
        exchange.latency_ms = (time.perf_counter() - self._began) * 1000
        with self._recorder.guarded():
            if self._fault is not None:
                raise LeftOut(self._fault, "the request's body was streamed")
            if how == "stopped" and not self._read and exchange.status < 400:
                raise LeftOut(Drop.RESPONSE_NOT_READ, "the application never read the response")
            self._recorder.submit(exchange.record, len(exchange.request) + exchange.size_bytes)

    def abandon(self) -> None:
        """The response is gone, read or not. For finalisers."""
        if not self._ended:
            self._recorder.later(lambda: self.end("stopped"))


class _Tee:
    """A response's stream, read along. Its classes also derive from the library's stream classes."""

    def __init__(self, stream: Any, call: _Call) -> None:
        self._stream, self._call = stream, call

    def __iter__(self) -> Iterator[bytes]:
        with self._call.reading():
            for chunk in self._stream:
                yield self._call.add(chunk)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with self._call.reading():
            async for chunk in self._stream:
                yield self._call.add(chunk)

    def close(self) -> None:
        self._call.end("stopped")
        self._stream.close()

    async def aclose(self) -> None:
        self._call.end("stopped")
        await self._stream.aclose()

    def __del__(self) -> None:
        self._call.abandon()


@cache
def _tee_class(bases: tuple[type, ...]) -> Callable[[Any, _Call], _Tee]:
    """A tee that the library takes for a stream of its own: it asks whether one is sync or async."""
    return type("Tee", (_Tee, *bases), {})


class _Done:
    """What a hook returns: httpx.AsyncClient awaits it, httpx.Client does not look at it."""

    def __await__(self) -> Iterator[None]:
        return iter(())


def hooks(recorder: Recorder, tags: Mapping[str, Any]) -> Hooks:
    """`event_hooks` of an httpx.Client or httpx.AsyncClient. They never raise."""

    def asked(request: Any) -> _Done:
        try:
            _begin(recorder, request, tags)
        except Exception as why:
            recorder.lost(why)
        return _Done()

    def answered(response: Any) -> _Done:
        try:
            _attach(recorder, response)
        except Exception as why:
            recorder.lost(why)
        return _Done()

    return {"request": [asked], "response": [answered]}


def _begin(recorder: Recorder, request: Any, tags: Mapping[str, Any]) -> None:
    if request.method == "POST" and request.url.path.rstrip("/").endswith((_CHAT, _EMBEDDINGS)):
        request.extensions[_BEGUN] = (time.time() * 1000, time.perf_counter(), recorder.current_tags(tags))


def _attach(recorder: Recorder, response: Any) -> None:
    # A redirect is no answer: what it leads to is.
    if _BEGUN not in response.request.extensions or response.has_redirect_location:
        return
    bases = tuple(base for base in type(response.stream).__mro__ if base.__name__ in _STREAMS)
    tee = _tee_class(bases)
    response.stream = tee(response.stream, _Call(recorder, response.request, response))

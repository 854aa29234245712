"""The synchronous client: sends calls and waits for their answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from include.nemo.call import Call, Download, Listing, Stream
from include.nemo.deadline import bind, within
from include.nemo.errors import Conflict, Invalid, NemoError, NotFound
from include.nemo.events import EventReader
from include.nemo.listing import Collector
from include.nemo.retries import RetryPolicy
from include.nemo.sender import CHUNK_BYTES, WIRE_ERRORS, Sender, part_of
from include.nemo.tls import Tls
from include.nemo.urls import NemoUrls

T = TypeVar("T")
ItemT = TypeVar("ItemT")


class NemoClient(Sender):
    """The synchronous client.

    token: sent as a bearer token; never logged. timeout_seconds: for one try of a call, from connecting
    to the last byte; a download gets as much for every 64 KiB. transport: for tests. retries: how often
    and how long; tls: own authorities and certificate; sleep: what waits (seconds).

    Raises ValueError for a limit that is not above 0 or a file of `tls` that cannot be used.
    """

    def __init__(
        self,
        urls: NemoUrls,
        token: str | None = None,
        timeout_seconds: float = 30.0,
        transport: httpx.BaseTransport | None = None,
        *,
        retries: RetryPolicy | None = None,
        tls: Tls | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(urls, token, timeout_seconds, retries, tls)
        self._sleep = sleep
        self._http = httpx.Client(transport=transport, **self._options)
        bind(self._http)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, call: Call[T]) -> T:
        """The answer of a call. Raises a NemoError (see `errors`) after the tries that are safe."""
        return self._with_retries(call, lambda: self._send_once(call))

    def ensure(self, create: Call[T], existing: Call[T]) -> T:
        """Create, or return what exists under that name already."""
        try:
            return self.send(replace(create, safe_to_repeat=True))
        except (Conflict, Invalid) as refusal:
            try:
                return self.send(existing)
            except NotFound:
                raise refusal from None

    def collect(self, listing: Listing[ItemT]) -> list[ItemT]:
        """All items of a paged list."""
        items = Collector(listing)
        while items.add(self.send(items.next_call())):
            pass
        return list(items)

    def download(self, download: Download, target: Path) -> int:
        """Stream a file to `target`; returns its size in bytes. `target` is whole or absent."""
        return self._with_retries(download, lambda: self._download_once(download, target))

    def stream(self, stream: Stream[T]) -> Iterator[T]:
        """The pieces of an answer as they come; leaving the iterator closes the connection.

        Raises a NemoError. Nothing is tried again: what came may have been used already.
        """
        events, limit = EventReader(stream, self._reader), self._limit(stream)
        response = None
        try:
            with within(limit):
                request = self._http.build_request(**self._request(stream))
                response = self._http.send(request, stream=True)
                if not response.is_success:
                    response.read()
            self._reader.check(stream, response)
            lines = response.iter_lines()
            while not events.done:
                with within(limit):
                    line = next(lines, None)
                if line is None:
                    break
                yield from events.take(line)
            events.check_end()
        except WIRE_ERRORS as error:
            raise self._reader.transport_error(stream, error) from error
        finally:
            if response is not None:
                response.close()

    def _send_once(self, call: Call[T]) -> T:
        try:
            with within(self._limit(call)):
                response = self._http.request(**self._request(call))
        except WIRE_ERRORS as error:
            raise self._reader.transport_error(call, error) from error
        return self._reader.value(call, response)

    def _download_once(self, download: Download, target: Path) -> int:
        part = part_of(target)
        try:
            with (
                within(self._limit(download)) as deadline,
                self._http.stream(**self._request(download)) as response,
            ):
                if not response.is_success:
                    response.read()
                self._reader.check(download, response)
                with part.open("wb") as file:
                    for chunk in response.iter_bytes(CHUNK_BYTES):
                        file.write(chunk)
                        deadline.renew()
            return self._keep(download, part, target, response)
        except WIRE_ERRORS as error:
            raise self._reader.transport_error(download, error) from error
        finally:
            part.unlink(missing_ok=True)

    def _with_retries(self, call: Call[Any] | Download, once: Callable[[], T]) -> T:
        tries_made = 0
        while True:
            tries_made += 1
            try:
                return once()
            except NemoError as error:
                wait_seconds = self._wait_or_raise(call, error, tries_made)
            self._sleep(wait_seconds)

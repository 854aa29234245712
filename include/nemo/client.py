"""Sends calls, synchronously or asynchronously; both share everything but the waiting."""

from __future__ import annotations

import asyncio
import functools
import os
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from include.nemo.answers import AnswerReader
from include.nemo.call import Call, Download, Listing
from include.nemo.errors import Conflict, Invalid, NemoError, NotFound
from include.nemo.listing import Collector
from include.nemo.retries import RetryPolicy
from include.nemo.urls import NemoUrls

T = TypeVar("T")
ItemT = TypeVar("ItemT")

CONNECT_SECONDS = 10.0
CHUNK_BYTES = 1 << 16


class _Sender:
    """What both clients know: where, as whom, how long, how often."""

    def __init__(
        self, urls: NemoUrls, token: str | None, timeout_seconds: float, retries: RetryPolicy | None
    ) -> None:
        if timeout_seconds <= 0:
            raise ValueError(f"timeout_seconds is {timeout_seconds}; it must be above 0")
        self.urls = urls
        self._timeout_seconds = timeout_seconds
        self._retries = retries or RetryPolicy()
        self._reader = AnswerReader(urls, token)
        headers = {"Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._options: dict[str, Any] = {
            "headers": headers,
            "timeout": self._timeout(None),
            "follow_redirects": True,
            "verify": _tls(),
        }

    def _timeout(self, seconds: float | None) -> httpx.Timeout:
        limit = seconds or self._timeout_seconds
        return httpx.Timeout(limit, connect=min(limit, CONNECT_SECONDS))

    def _request(self, call: Call[Any] | Download) -> dict[str, Any]:
        request: dict[str, Any] = {
            "method": "GET",
            "url": self.urls.of(call.service) + call.path,
            "params": dict(call.params) or None,
            "timeout": self._timeout(call.timeout_seconds),
        }
        if isinstance(call, Download):
            return request | {"headers": {"Accept": "*/*"}}
        if call.json is not None:
            request["json"] = call.json
        if call.form is not None:
            request["data"] = dict(call.form)
        return request | {"method": call.method}

    def _wait_or_raise(self, call: Call[Any] | Download, error: NemoError, tries_made: int) -> float:
        wait_seconds = self._retries.wait_seconds(call, error, tries_made)
        if wait_seconds is None:
            raise error
        return wait_seconds


class NemoClient(_Sender):
    """The synchronous client.

    token: sent as a bearer token; never logged. timeout_seconds: for connecting, each read and each
    write. transport: for tests. retries: how often and how long; sleep: what waits (seconds).
    """

    def __init__(
        self,
        urls: NemoUrls,
        token: str | None = None,
        timeout_seconds: float = 30.0,
        transport: httpx.BaseTransport | None = None,
        *,
        retries: RetryPolicy | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(urls, token, timeout_seconds, retries)
        self._sleep = sleep
        self._http = httpx.Client(transport=transport, **self._options)

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

    def _send_once(self, call: Call[T]) -> T:
        try:
            response = self._http.request(**self._request(call))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._reader.transport_error(call, error) from error
        return self._reader.value(call, response)

    def _download_once(self, download: Download, target: Path) -> int:
        part = _part_of(target)
        try:
            with self._http.stream(**self._request(download)) as response:
                if not response.is_success:
                    response.read()
                self._reader.check(download, response)
                with part.open("wb") as file:
                    for chunk in response.iter_bytes(CHUNK_BYTES):
                        file.write(chunk)
            part.replace(target)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._reader.transport_error(download, error) from error
        finally:
            part.unlink(missing_ok=True)
        return target.stat().st_size

    def _with_retries(self, call: Call[Any] | Download, once: Callable[[], T]) -> T:
        tries_made = 0
        while True:
            tries_made += 1
            try:
                return once()
            except NemoError as error:
                wait_seconds = self._wait_or_raise(call, error, tries_made)
            self._sleep(wait_seconds)


class AsyncNemoClient(_Sender):
    """The asynchronous client: the same calls, awaited. See NemoClient for the parameters."""

    def __init__(
        self,
        urls: NemoUrls,
        token: str | None = None,
        timeout_seconds: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        retries: RetryPolicy | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(urls, token, timeout_seconds, retries)
        self._sleep = sleep
        self._http = httpx.AsyncClient(transport=transport, **self._options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
        """The answer of a call. Raises a NemoError (see `errors`) after the tries that are safe."""
        tries_made = 0
        while True:
            tries_made += 1
            try:
                return await self._send_once(call)
            except NemoError as error:
                wait_seconds = self._wait_or_raise(call, error, tries_made)
            await self._sleep(wait_seconds)

    async def ensure(self, create: Call[T], existing: Call[T]) -> T:
        """Create, or return what exists under that name already."""
        try:
            return await self.send(replace(create, safe_to_repeat=True))
        except (Conflict, Invalid) as refusal:
            try:
                return await self.send(existing)
            except NotFound:
                raise refusal from None

    async def collect(self, listing: Listing[ItemT]) -> list[ItemT]:
        """All items of a paged list."""
        items = Collector(listing)
        while items.add(await self.send(items.next_call())):
            pass
        return list(items)

    async def _send_once(self, call: Call[T]) -> T:
        try:
            response = await self._http.request(**self._request(call))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._reader.transport_error(call, error) from error
        return self._reader.value(call, response)


def _part_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.{os.getpid()}.part")


@functools.cache
def _tls() -> ssl.SSLContext:
    """One context for all clients of a process: making one reads every certificate (tens of ms)."""
    return httpx.create_ssl_context()

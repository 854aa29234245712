"""The asynchronous client: sends calls and waits for their answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from include.nemo.call import Call, Download, Listing, Stream
from include.nemo.errors import Conflict, Invalid, NemoError, NotFound
from include.nemo.events import EventReader
from include.nemo.listing import Collector
from include.nemo.retries import RetryPolicy
from include.nemo.sender import CHUNK_BYTES, WIRE_ERRORS, Sender, part_of
from include.nemo.tls import Tls
from include.nemo.urls import NemoUrls

T = TypeVar("T")
ItemT = TypeVar("ItemT")


class AsyncNemoClient(Sender):
    """The asynchronous client: the same calls, awaited. See NemoClient for the parameters."""

    def __init__(
        self,
        urls: NemoUrls,
        token: str | None = None,
        timeout_seconds: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        retries: RetryPolicy | None = None,
        tls: Tls | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(urls, token, timeout_seconds, retries, tls)
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
        return await self._with_retries(call, lambda: self._send_once(call))

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

    async def download(self, download: Download, target: Path) -> int:
        """Stream a file to `target`; returns its size in bytes. `target` is whole or absent."""
        return await self._with_retries(download, lambda: self._download_once(download, target))

    async def stream(self, stream: Stream[T]) -> AsyncIterator[T]:
        """The pieces of an answer as they come; see NemoClient.stream."""
        events, limit = EventReader(stream, self._reader), self._limit(stream)
        response = None
        try:
            async with asyncio.timeout(limit):
                request = self._http.build_request(**self._request(stream))
                response = await self._http.send(request, stream=True)
                if not response.is_success:
                    await response.aread()
            self._reader.check(stream, response)
            lines = response.aiter_lines()
            while not events.done:
                async with asyncio.timeout(limit):
                    line = await anext(lines, None)
                if line is None:
                    break
                for event in events.take(line):
                    yield event
            events.check_end()
        except WIRE_ERRORS as error:
            raise self._reader.transport_error(stream, error) from error
        except TimeoutError as error:
            raise self._reader.transport_error(stream, _too_late()) from error
        finally:
            if response is not None:
                await response.aclose()

    async def _send_once(self, call: Call[T]) -> T:
        try:
            async with asyncio.timeout(self._limit(call)):
                response = await self._http.request(**self._request(call))
        except WIRE_ERRORS as error:
            raise self._reader.transport_error(call, error) from error
        except TimeoutError as error:
            raise self._reader.transport_error(call, _too_late()) from error
        return self._reader.value(call, response)

    async def _download_once(self, download: Download, target: Path) -> int:
        part = part_of(target)
        limit = self._limit(download)
        try:
            async with (
                asyncio.timeout(limit) as deadline,
                self._http.stream(**self._request(download)) as response,
            ):
                if not response.is_success:
                    await response.aread()
                self._reader.check(download, response)
                with part.open("wb") as file:
                    async for chunk in response.aiter_bytes(CHUNK_BYTES):
                        await asyncio.to_thread(file.write, chunk)
                        deadline.reschedule(asyncio.get_running_loop().time() + limit)
            return self._keep(download, part, target, response)
        except WIRE_ERRORS as error:
            raise self._reader.transport_error(download, error) from error
        except TimeoutError as error:
            raise self._reader.transport_error(download, _too_late()) from error
        finally:
            part.unlink(missing_ok=True)

    async def _with_retries(self, call: Call[Any] | Download, once: Callable[[], Awaitable[T]]) -> T:
        tries_made = 0
        while True:
            tries_made += 1
            try:
                return await once()
            except NemoError as error:
                wait_seconds = self._wait_or_raise(call, error, tries_made)
            await self._sleep(wait_seconds)


def _too_late() -> httpx.ReadTimeout:
    return httpx.ReadTimeout("the whole try took too long")

"""One client, and one rate per host, for all triggers of an event loop.

A triggerer runs every trigger in one event loop. Clients of their own would cost each trigger a connection
and a TLS handshake, and nothing would bound what a host has to answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from include.airflow_nemo.settings import NemoSettings
from include.nemo import NO_RETRIES, AsyncNemoClient, Call, NemoUrls, RetryPolicy
from include.nemo.errors import NemoError

T = TypeVar("T")

MAX_CONNECTIONS = 20
"""Requests of one client that are under way at once, hence its connections."""


class Pace:
    """Spaces the requests to one host: first come, first served.

    A request keeps the next one waiting for `1 / max_requests_per_second`, so that no interval of t
    seconds has more than `t * max_requests_per_second + 1` of them. Who is cancelled in the line costs
    nothing.
    """

    def __init__(self) -> None:
        self._line = asyncio.Lock()
        self._next_at = 0.0

    async def turn(self, max_requests_per_second: float) -> None:
        """Return when it is the caller's turn to send one request."""
        now = asyncio.get_running_loop().time
        async with self._line:
            await asyncio.sleep(max(0.0, self._next_at - now()))
            self._next_at = now() + 1 / max_requests_per_second


class SharedClient:
    """An asynchronous client for many: bounded connections, paced requests.

    `send` is the whole of it; each try of a retry takes its turn too.
    """

    def __init__(self, settings: NemoSettings, timeout_seconds: float, paces: dict[str, Pace]) -> None:
        self.urls: NemoUrls = settings.urls
        self._rate = settings.max_requests_per_second
        self._client = AsyncNemoClient(
            settings.urls, settings.token, timeout_seconds, retries=NO_RETRIES, tls=settings.tls
        )
        self._paces = paces
        self._connections = asyncio.Semaphore(MAX_CONNECTIONS)
        self.users = 0

    async def send(self, call: Call[T], *, retries: RetryPolicy = NO_RETRIES) -> T:
        """The answer of a call. Raises a NemoError; tries once unless `retries` says more."""
        tries_made = 0
        while True:
            tries_made += 1
            try:
                return await self._send_once(call)
            except NemoError as error:
                wait_seconds = retries.wait_seconds(call, error, tries_made)
                if wait_seconds is None:
                    raise
            await asyncio.sleep(wait_seconds)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _send_once(self, call: Call[T]) -> T:
        pace = self._paces.setdefault(self.urls.host_of(call.service), Pace())
        # The connection first: whoever has had its turn must send at once, or turns would pile up
        # behind a slow server and then go out together.
        async with self._connections:
            await pace.turn(self._rate)
            return await self._client.send(call)


@dataclass(slots=True)
class _Shared:
    clients: dict[tuple[NemoSettings, float], SharedClient] = field(default_factory=dict)
    paces: dict[str, Pace] = field(default_factory=dict)


_of_loop: dict[asyncio.AbstractEventLoop, _Shared] = {}


@asynccontextmanager
async def shared_client(settings: NemoSettings, timeout_seconds: float) -> AsyncIterator[SharedClient]:
    """The running loop's client for these settings; closed when the last of its users leaves.

    The rate of a host outlives its clients, so that leaving and coming back wins no turns.
    """
    shared = _shared_by(asyncio.get_running_loop())
    key = (settings, timeout_seconds)
    # No await between looking and counting: another trigger cannot close it in between.
    client = shared.clients.get(key)
    if client is None:
        client = shared.clients[key] = SharedClient(settings, timeout_seconds, shared.paces)
    client.users += 1
    try:
        yield client
    finally:
        client.users -= 1
        if client.users == 0:
            del shared.clients[key]
            # A second cancel must not leave connections open.
            await asyncio.shield(client.close())


def _shared_by(loop: asyncio.AbstractEventLoop) -> _Shared:
    for ended in [other for other in list(_of_loop) if other.is_closed()]:
        _of_loop.pop(ended, None)
    return _of_loop.setdefault(loop, _Shared())

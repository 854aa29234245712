"""Callers of the API where it is served alone: by key, each with a project and a rate; or nobody asked."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from fastapi import HTTPException, Request

from include.flywheel.feedback.keys import digest_of
from include.web.feedback.callers import FeedbackCaller
from include.web.feedback.opening import Feedback

_KNOWN_SECONDS = 30.0
_UNKNOWN_SECONDS = 5.0
_REMEMBERED = 10_000
_LONGEST_KEY = 200


@dataclass(frozen=True)
class Rate:
    """Requests per second that a key may make for long, and how many at once after a pause."""

    per_second: float = 100.0
    burst: float = 200.0


class Bucket:
    """Tokens of one key."""

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._tokens = rate.burst
        self._at = now

    def take(self, now: float) -> float:
        """0 where a token was there and is taken; else the seconds until there is one."""
        self._tokens = min(self._rate.burst, self._tokens + (now - self._at) * self._rate.per_second)
        self._at = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._rate.per_second
        self._tokens -= 1
        return 0.0


@dataclass
class _Remembered:
    until: float
    caller: FeedbackCaller | None
    bucket: Bucket


class ApiKeys:
    """Knows callers by `Authorization: Bearer KEY` or `X-API-Key: KEY`. A revoked key works for 30 s more."""

    def __init__(
        self, feedback: Feedback, rate: Rate | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._feedback = feedback
        self._rate = rate or Rate()
        self._clock = clock
        self._remembered: OrderedDict[bytes, _Remembered] = OrderedDict()

    async def identify(self, request: Request) -> FeedbackCaller:
        """The caller. 401 without a valid key, 429 beyond its rate."""
        key = _shown(request)
        if key is None or len(key) > _LONGEST_KEY:
            raise _unknown("send your key: `Authorization: Bearer KEY` or `X-API-Key: KEY`")
        digest = digest_of(key)
        now = self._clock()
        found = self._remembered.get(digest)
        if found is None or found.until < now:
            found = await self._look_up(digest, found)
        wait_seconds = found.bucket.take(now)
        if wait_seconds > 0:
            raise HTTPException(
                429,
                f"more than {self._rate.per_second:g} requests a second: wait {wait_seconds:.2f} s",
                {"Retry-After": str(int(wait_seconds) + 1)},
            )
        if found.caller is None:
            raise _unknown("the key is not valid: ask who runs this service for a new one")
        return found.caller

    async def _look_up(self, digest: bytes, before: _Remembered | None) -> _Remembered:
        repository = await self._feedback.open()
        row = await repository.find_key(digest)
        now = self._clock()
        caller = None if row is None else FeedbackCaller(scope=f"key:{row[0]}", project=row[2])
        seconds = _UNKNOWN_SECONDS if caller is None else _KNOWN_SECONDS
        bucket = Bucket(self._rate, now) if before is None else before.bucket
        made = self._remembered[digest] = _Remembered(now + seconds, caller, bucket)
        self._remembered.move_to_end(digest)
        while len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)
        return made


async def on_loopback(request: Request) -> FeedbackCaller:
    """Anybody on this machine. 403 for others, and for pages in a browser."""
    if request.client is None or not is_loopback(request.client.host):
        raise HTTPException(403, "served without keys: this machine only")
    if "origin" in request.headers:
        raise HTTPException(403, "served without keys: not for pages in a browser")
    return FeedbackCaller(scope="loopback")


@lru_cache(maxsize=128)
def is_loopback(host: str) -> bool:
    """Whether an address, or `localhost`, is that of this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(request: Request) -> str | None:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    return request.headers.get("x-api-key") or None


def _unknown(why: str) -> HTTPException:
    return HTTPException(401, why, {"WWW-Authenticate": "Bearer"})

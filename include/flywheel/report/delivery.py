"""Delivers a notification over HTTP: signed anew on each try, retried, and never fatal to the run."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from pydantic import AwareDatetime, BaseModel, ConfigDict

from include.flywheel.report.notification import encode
from include.flywheel.report.signature import (
    IDEMPOTENCY_HEADER,
    SIGNATURE_HEADER,
    TIMESTAMP_HEADER,
    sign,
    verify,
)

__all__ = ["ATTEMPTS", "Delivery", "deliver", "sign", "verify"]

ATTEMPTS = 5
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0
"""Also the longest Retry-After that is obeyed; a worker waits meanwhile."""

TIMEOUT_SECONDS = 10.0
RETRIED_STATUSES = frozenset({408, 425, 429})
"""Retried besides every 5xx; other answers outside 2xx are final."""

SHOWN_ANSWER_BYTES = 300


class Delivery(BaseModel):
    """How a delivery went; it stands on the run document."""

    model_config = ConfigDict(extra="forbid")

    delivered: bool
    event_id: str
    url: str
    """Without user, password and query, which may be secret."""
    attempts: int
    status: int | None = None
    """HTTP status of the last answer; None where the last try got none."""
    finished_at: AwareDatetime
    error: str | None = None


@dataclass(frozen=True, slots=True)
class _Try:
    """One answer, or why there was none."""

    status: int | None = None
    error: str | None = None
    again: bool = False
    retry_after_seconds: float | None = None


def deliver(
    url: str,
    payload: dict[str, Any],
    secret: str,
    client: httpx.Client,
    *,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
    jitter: Callable[[], float] = random.random,
    attempts: int = ATTEMPTS,
) -> Delivery:
    """POST `payload` to `url` until it is accepted, refused for good, or `attempts` are used up.

    2xx is delivered. 408, 425, 429, 5xx and broken connections are tried again after 1, 2, 4 … seconds
    (at most 60), less up to half by `jitter` (0..1), or after Retry-After where the answer has one.
    Body and Idempotency-Key stay the same; timestamp and signature are made for each try. `clock` gives
    Unix seconds. What goes wrong is returned, not raised: a failed delivery changes no verdict.
    """
    event = str(payload.get("event_id", ""))
    body = encode(payload)
    last = _refused_before_sending(url, secret)
    made = 0
    while last is None or last.again:
        last = _post(url, body, event=event, secret=secret, client=client, clock=clock)
        made += 1
        if not last.again or made >= attempts:
            break
        sleep(_wait_seconds(made, last.retry_after_seconds, jitter()))
    return Delivery(
        delivered=last.error is None,
        event_id=event,
        url=_without_secrets(url),
        attempts=made,
        status=last.status,
        finished_at=datetime.fromtimestamp(clock(), UTC),
        error=last.error,
    )


def _refused_before_sending(url: str, secret: str) -> _Try | None:
    if not secret:
        return _Try(error="not sent: the application's secret is empty; set the password of its connection")
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        return _Try(error=f"not sent: the address is no URL ({error}); correct the application's connection")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        return _Try(
            error="not sent: the address needs http:// or https:// and a host; correct the connection"
        )
    return None


def _post(
    url: str, body: bytes, *, event: str, secret: str, client: httpx.Client, clock: Callable[[], float]
) -> _Try:
    now = clock()
    headers = {
        "Content-Type": "application/json",
        IDEMPOTENCY_HEADER: event,
        TIMESTAMP_HEADER: str(int(now)),
        SIGNATURE_HEADER: sign(secret, int(now), body),
    }
    try:
        with client.stream(
            "POST", url, content=body, headers=headers, timeout=TIMEOUT_SECONDS, follow_redirects=False
        ) as response:
            if response.is_success:
                return _Try(status=response.status_code)
            return _refusal(response, now)
    except httpx.TransportError as error:
        return _Try(error=f"no answer: {type(error).__name__}: {error}", again=True)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return _Try(error=f"not sent: {type(error).__name__}: {error}")


def _refusal(response: httpx.Response, now: float) -> _Try:
    status = response.status_code
    again = status in RETRIED_STATUSES or status >= 500
    advice = "" if again else "; it is not tried again, correct the receiver or the connection"
    text = _beginning(response)
    return _Try(
        status=status,
        error=f"answered {status}{f': {text}' if text else ''}{advice}",
        again=again,
        retry_after_seconds=_retry_after_seconds(response.headers.get("Retry-After"), now),
    )


def _beginning(response: httpx.Response) -> str:
    """The first bytes of an answer as one line; "" where they do not arrive."""
    data = b""
    try:
        for chunk in response.iter_bytes(SHOWN_ANSWER_BYTES):
            data += chunk
            if len(data) >= SHOWN_ANSWER_BYTES:
                break
    except httpx.HTTPError:
        pass
    return " ".join(data[:SHOWN_ANSWER_BYTES].decode("utf-8", "replace").split())


def _retry_after_seconds(value: str | None, now: float) -> float | None:
    """Seconds to wait from a Retry-After header, which holds seconds or an HTTP date; None if neither."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, moment.timestamp() - now)


def _wait_seconds(made: int, retry_after_seconds: float | None, jitter: float) -> float:
    backoff = min(FIRST_WAIT_SECONDS * 2.0 ** min(made - 1, 16), LONGEST_WAIT_SECONDS)
    wait = backoff * (1.0 - 0.5 * jitter)
    if retry_after_seconds is not None:
        wait = max(wait, retry_after_seconds)
    return min(wait, LONGEST_WAIT_SECONDS)


def _without_secrets(url: str) -> str:
    try:
        return str(httpx.URL(url).copy_with(username=None, password=None, query=None, fragment=None))
    except httpx.InvalidURL:
        return "(no URL)"

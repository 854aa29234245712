"""What the synchronous and the asynchronous client share: everything but the waiting."""

from __future__ import annotations

import os
import secrets
import ssl
from pathlib import Path
from typing import Any

import httpx

from include.nemo.answers import AnswerReader
from include.nemo.call import Call, Download, Sent, Stream
from include.nemo.errors import NemoError
from include.nemo.retries import RetryPolicy
from include.nemo.tls import Tls, context_of
from include.nemo.urls import NemoUrls

CONNECT_SECONDS = 10.0
CHUNK_BYTES = 1 << 16
WIRE_ERRORS = (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError)
"""What a request can raise: httpx lets through the alerts of TLS 1.3 that come after the handshake."""


class Sender:
    """Where, as whom, how long, how often."""

    def __init__(
        self,
        urls: NemoUrls,
        token: str | None,
        timeout_seconds: float,
        retries: RetryPolicy | None,
        tls: Tls | None,
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
            "follow_redirects": True,
            "verify": context_of(tls),
        }

    def _limit(self, call: Sent) -> float:
        return call.timeout_seconds or self._timeout_seconds

    def _request(self, call: Sent) -> dict[str, Any]:
        limit = self._limit(call)
        request: dict[str, Any] = {
            "method": "GET",
            "url": self.urls.of(call.service) + call.path,
            "params": dict(call.params) or None,
            # Half, so that a service that cannot be reached is told from one that does not answer.
            "timeout": httpx.Timeout(limit, connect=min(limit / 2, CONNECT_SECONDS)),
        }
        if isinstance(call, Download):
            return request | {"headers": {"Accept": "*/*"}}
        if isinstance(call, Stream):
            return request | {"method": "POST", "json": call.json, "headers": {"Accept": "text/event-stream"}}
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

    def _keep(self, download: Download, part: Path, target: Path, response: httpx.Response) -> int:
        """Give a finished download its name. Raises Unreadable if it is not what it should be."""
        if _is_page(response) or not download.is_whole(part):
            with part.open("rb") as file:
                head = file.read(120).decode(errors="replace")
            raise self._reader.not_the_file(download, response.status_code, head)
        size = part.stat().st_size
        part.replace(target)
        return size


def part_of(target: Path) -> Path:
    """Where a download grows until it is whole; another name for every try."""
    return target.with_name(f"{target.name}.{os.getpid()}-{secrets.token_hex(4)}.part")


def _is_page(response: httpx.Response) -> bool:
    """Whether this is no file at all but a proxy's page, or nothing."""
    return response.status_code == 204 or response.headers.get("content-type", "").startswith("text/html")

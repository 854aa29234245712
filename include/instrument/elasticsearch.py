"""The sink that sends to Elasticsearch or OpenSearch with `_bulk`, over one connection that is kept open."""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from .sinks import RETRY, WRITTEN, Line, Outcome, refused

_FILTER = "filter_path=items.create.status,items.create.error.type"
_CREATE = '{{"create":{{"_id":"{}"}}}}\n'
_TRY_AGAIN = {408, 429}


class ElasticsearchSink:
    """Creates documents under ids of their own, so that what is sent twice is stored once.

    :param url: `http(s)://host[:port][/path]`; `user:password@` in it is the same as the two parameters.
    :param index: an index, alias or data stream that exists, or that the cluster may create.
    :param api_key: the encoded key, as the cluster gave it; takes the place of a password.
    :param ca_file: certificates to trust instead of the system's.
    :param timeout_seconds: of a connection and of an answer.

    Raises ValueError when `url` is no http address.
    """

    def __init__(
        self,
        url: str,
        *,
        index: str = "flywheel",
        api_key: str | None = None,
        username: str | None = None,
        password: str | None = None,
        ca_file: str | None = None,
        timeout_seconds: float = 10.0,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("`url` is no http or https address; give http(s)://host:port")
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname, parts.port
        self._path = f"{parts.path.rstrip('/')}/{quote(index, safe='')}/_bulk?{_FILTER}"
        self._where = f"{parts.scheme}://{self._host}:{self._port or (443 if self._secure else 80)}/{index}"
        self._headers = {"Content-Type": "application/x-ndjson", "Accept": "application/json"}
        username, password = (
            username or unquote(parts.username or ""),
            password or unquote(parts.password or ""),
        )
        if api_key:
            self._headers["Authorization"] = f"ApiKey {api_key}"
        elif username:
            pair = base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
            self._headers["Authorization"] = f"Basic {pair}"
        self._tls = ssl.create_default_context(cafile=ca_file) if self._secure else None
        self._timeout_seconds = timeout_seconds
        self._connection: http.client.HTTPConnection | None = None
        self._process = 0

    def __repr__(self) -> str:
        return f"ElasticsearchSink({self._where!r})"

    def write(self, lines: Sequence[Line]) -> list[Outcome]:
        """Send one bulk request; halves where the cluster finds it too large."""
        body = b"".join(_CREATE.format(line.id).encode() + line.body + b"\n" for line in lines)
        status, answer = self._post(body)
        if status == 413:
            return self._halves(lines)
        if status // 100 == 2:
            return _outcomes(answer, len(lines))
        if status == 400:
            return [refused(f"{self._where}: HTTP 400 {_error_type(answer)}")] * len(lines)
        # Also 401, 403 and 404: somebody may give a key or an index before the record is given up.
        return [Outcome("retry", f"{self._where}: HTTP {status}")] * len(lines)

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None and self._process == os.getpid():
            connection.close()

    def _halves(self, lines: Sequence[Line]) -> list[Outcome]:
        if len(lines) == 1:
            return [refused(f"{self._where}: HTTP 413, the record is larger than the cluster takes")]
        middle = len(lines) // 2
        return self.write(lines[:middle]) + self.write(lines[middle:])

    def _post(self, body: bytes) -> tuple[int, Any]:
        """Status and decoded answer. Raises OSError or HTTPException when none came."""
        try:
            connection, reused = self._connected()
            try:
                return self._exchange(connection, body)
            except (ConnectionError, http.client.BadStatusLine):
                if not reused:
                    raise
                # A server closes what was idle for long; that is no failure.
                self.close()
                return self._exchange(self._connected()[0], body)
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def _connected(self) -> tuple[http.client.HTTPConnection, bool]:
        """A connection of this process, and whether it was used before."""
        if self._connection is not None and self._process == os.getpid():
            return self._connection, True
        # After a fork the connection is the parent's: it is let go, not closed.
        self._process = os.getpid()
        if self._tls is not None:
            self._connection = http.client.HTTPSConnection(
                self._host, self._port, timeout=self._timeout_seconds, context=self._tls
            )
        else:
            self._connection = http.client.HTTPConnection(
                self._host, self._port, timeout=self._timeout_seconds
            )
        return self._connection, False

    def _exchange(self, connection: http.client.HTTPConnection, body: bytes) -> tuple[int, Any]:
        connection.request("POST", self._path, body, self._headers)
        response = connection.getresponse()
        content = response.read()
        try:
            return response.status, json.loads(content)
        except ValueError:
            return response.status, None


def _outcomes(answer: Any, count: int) -> list[Outcome]:
    items = answer.get("items") if isinstance(answer, dict) else None
    if not isinstance(items, list) or len(items) != count:
        # Nothing is known; what did arrive answers 409 to the next try.
        return [Outcome("retry", "the answer to _bulk does not account for every record")] * count
    return [_outcome(item) for item in items]


def _outcome(item: Any) -> Outcome:
    result = item.get("create") if isinstance(item, dict) else None
    status = result.get("status") if isinstance(result, dict) else None
    if not isinstance(status, int):
        return RETRY
    if status // 100 == 2 or status == 409:
        return WRITTEN
    detail = f"HTTP {status} {_error_type(result)}"
    return Outcome("retry", detail) if status in _TRY_AGAIN or status >= 500 else refused(detail)


def _error_type(answer: Any) -> str:
    """The kind of an error; its reason may quote the record."""
    error = answer.get("error") if isinstance(answer, dict) else None
    kind = error.get("type") if isinstance(error, dict) else None
    return kind if isinstance(kind, str) else ""

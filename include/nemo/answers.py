"""From an HTTP response, or its absence, to a value or an error of the tree."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar, cast

import httpx

from include.nemo.call import Call, Download, Sent
from include.nemo.errors import (
    Conflict,
    Forbidden,
    Invalid,
    NemoError,
    NotEnoughResources,
    NotFound,
    RateLimited,
    ServerError,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
    Unreadable,
)
from include.nemo.urls import NemoUrls

T = TypeVar("T")

DETAIL_CHARS = 600
_BY_STATUS: dict[int, type[NemoError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    408: ServerError,
    409: Conflict,
    429: RateLimited,
}
_DISTRUSTED = "Name the file of the authority that signed the service's certificate: `ca_file`."
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class AnswerReader:
    """Reads the answers of one installation; knows the token only to keep it out of messages."""

    def __init__(self, urls: NemoUrls, token: str | None = None) -> None:
        self._urls = urls
        self._token = token

    def value(self, call: Call[T], response: httpx.Response) -> T:
        """The parsed answer. Raises a NemoError for an error status or a body that does not fit."""
        self.check(call, response)
        body = None
        empty = not response.content.strip()
        if not empty:
            try:
                body = response.json()
            except (ValueError, RecursionError) as error:
                raise self.unreadable(call, error, response.status_code, response.text) from error
        try:
            return call.parse(body)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if empty:
                raise self._error(Unreadable, call, response.status_code, "the answer is empty") from error
            raise self.unexpected(call, error, response.status_code) from error

    def check(self, call: Sent, response: httpx.Response) -> None:
        """Raise the error of a status other than 2xx. A streamed response must have been read."""
        status = response.status_code
        if response.is_success:
            return
        detail = _detail_of(response)
        if status < 400:
            raise self._error(UnexpectedAnswer, call, status, detail or "an answer without a body")
        error = self._error(_kind(status, detail), call, status, detail)
        if isinstance(error, RateLimited | ServerError):
            error.retry_after_seconds = retry_after_seconds(response.headers)
        raise error

    def transport_error(self, call: Sent, error: Exception) -> NemoError:
        """The error of a request that got no whole answer."""
        if isinstance(error, httpx.TooManyRedirects | httpx.DecodingError):
            return self._error(UnexpectedAnswer, call, None, f"{type(error).__name__}: {error}")
        words = str(error) or "no answer in time" if isinstance(error, httpx.TimeoutException) else str(error)
        remedy = _DISTRUSTED if "CERTIFICATE_VERIFY_FAILED" in words else ""
        unreachable = self._error(Unreachable, call, None, f"{type(error).__name__}: {words}", remedy)
        cast(Unreachable, unreachable).sent = not isinstance(error, _NEVER_SENT)
        return unreachable

    def unreadable(
        self, call: Sent, error: Exception, status: int | None = None, text: str = ""
    ) -> NemoError:
        """The error of a body that is not JSON."""
        shown = f": {text[:120]!r}" if text else ""
        return self._error(Unreadable, call, status, f"the answer is not JSON ({error}){shown}")

    def broken_off(self, call: Sent, words: str) -> NemoError:
        """The error that a service names in the middle of its answer."""
        return self._error(ServerError, call, None, words)

    def not_the_file(self, call: Download, status: int, head: str) -> NemoError:
        """The error of a download that is something else than the file asked for."""
        return self._error(Unreadable, call, status, f"the answer is not the file asked for: {head!r}")

    def unexpected(self, call: Sent, error: Exception, status: int | None = None) -> NemoError:
        """The error of a body that is JSON of another shape than the contract's."""
        detail = f"the answer does not fit the contract: {error}"
        return self._error(UnexpectedAnswer, call, status, detail)

    def _error(
        self,
        kind: type[NemoError],
        call: Sent,
        status: int | None,
        detail: str,
        remedy: str = "",
    ) -> NemoError:
        shown = detail.replace(self._token, "***") if self._token else detail
        return kind(
            service=call.service.value,
            call=call.name,
            host=self._urls.host_of(call.service),
            status=status,
            detail=shown[:DETAIL_CHARS],
            remedy=remedy,
        )


def retry_after_seconds(headers: httpx.Headers) -> float | None:
    """What `retry-after-ms` or `Retry-After` (seconds or an HTTP date) asks for, in seconds."""
    try:
        if (milliseconds := headers.get("retry-after-ms")) is not None:
            return max(0.0, float(milliseconds) / 1000)
        wait = headers.get("retry-after")
        if wait is None:
            return None
        if wait.strip().isdigit():
            return float(wait)
        return max(0.0, (parsedate_to_datetime(wait) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def _kind(status: int, detail: str) -> type[NemoError]:
    words = detail.lower().replace(" ", "")
    if "notenoughresources" in words or "insufficientresources" in words or status == 507:
        return NotEnoughResources
    # The Deployment service has been seen to answer 500 for a name that is taken.
    if status >= 500 and "alreadyexists" in words:
        return Conflict
    return _BY_STATUS.get(status, ServerError if status >= 500 else Invalid)


def _detail_of(response: httpx.Response) -> str:
    """The service's own words: `detail` as text, or `field: message` for each entry of a 422."""
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return " ".join(response.text.split())[:200]
    detail = body.get("detail", _openai_words(body)) if isinstance(body, dict) else body
    if isinstance(detail, list):
        return "; ".join(_one_detail(entry) for entry in detail)
    return detail if isinstance(detail, str) else json.dumps(detail)


def _openai_words(body: dict[str, Any]) -> Any:
    """What NIMs say: a `message`, beside or below `error`; the whole body where there is none."""
    error = body.get("error")
    message = (error if isinstance(error, dict) else body).get("message")
    return message if isinstance(message, str) else body


def _one_detail(entry: object) -> str:
    if not isinstance(entry, dict) or "msg" not in entry:
        return str(entry)
    where = ".".join(str(part) for part in entry.get("loc") or ())
    return f"{where}: {entry['msg']}" if where else str(entry["msg"])

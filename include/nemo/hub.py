"""`huggingface_hub` as the Data Store needs it: no xet, limits on every request, own certificates.

The library has one factory of sessions for the whole process. Ours takes its place; its sessions are plain
ones until a request is made inside `speaking_to`, which says for this thread alone how long an answer may
take, whom to trust, and that a failure is reported at once. So what is process-wide is this: xet transfers
and progress bars are off, and a factory that someone else configured gives way.
"""

from __future__ import annotations

import functools
import http.client
import io
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from include.nemo.tls import Tls

if TYPE_CHECKING:
    import requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How to speak to one Data Store. `timeout_seconds`: for each write, and for a whole answer."""

    timeout_seconds: float
    connect_seconds: float
    tls: Tls

    def settings(self) -> dict[str, Any]:
        """As `requests` names them."""
        settings: dict[str, Any] = {"timeout": (self.connect_seconds, self.timeout_seconds)}
        if self.tls.ca_file:
            settings["verify"] = self.tls.ca_file
        if self.tls.client_cert_file:
            cert, key = self.tls.client_cert_file, self.tls.client_key_file
            settings["cert"] = (cert, key) if key else cert
        return settings


class NoAnswer(Exception):
    """No whole answer came. Of no kind that `huggingface_hub` repeats by itself: our policy decides."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        reason = getattr(error.args[0] if error.args else None, "reason", None)
        self.sent = type(reason).__name__ not in _NEVER_SENT


_NEVER_SENT = ("NewConnectionError", "ConnectTimeoutError", "NameResolutionError")

_line: ContextVar[Line | None] = ContextVar("nemo_data_store", default=None)


@contextmanager
def speaking_to(line: Line) -> Iterator[None]:
    """Requests that this thread makes in here through `huggingface_hub` follow `line`."""
    from huggingface_hub import configure_http_backend  # noqa: PLC0415 - slow to load
    from huggingface_hub.utils import get_session  # type: ignore[attr-defined]  # noqa: PLC0415

    if not isinstance(get_session().get_adapter("https://"), _adapter()):
        configure_http_backend(backend_factory=_session)
    token = _line.set(line)
    try:
        yield
    finally:
        _line.reset(token)


@functools.cache
def hub() -> ModuleType:
    """The library, set up once. It is loaded here because that takes a second."""
    os.environ["HF_HUB_DISABLE_XET"] = "1"
    import huggingface_hub  # noqa: PLC0415 - reads the environment when it is imported
    from huggingface_hub import constants  # noqa: PLC0415
    from huggingface_hub.utils.tqdm import disable_progress_bars  # noqa: PLC0415

    constants.HF_HUB_DISABLE_XET = True  # somebody else may have imported it before
    disable_progress_bars()
    return huggingface_hub


def _session() -> requests.Session:
    import requests  # noqa: PLC0415 - what huggingface_hub 0.36 speaks; loaded with it

    session = requests.Session()
    session.mount("http://", _adapter()())
    session.mount("https://", _adapter()())
    return session


@functools.cache
def _adapter() -> Any:
    """The class of our adapters: they follow the line of the thread, and else change nothing."""
    import requests  # noqa: PLC0415
    from requests.adapters import HTTPAdapter  # noqa: PLC0415
    from urllib3 import connection, connectionpool  # noqa: PLC0415

    class Connection(connection.HTTPConnection):
        response_class = _BoundedResponse

    class SecureConnection(connection.HTTPSConnection):
        response_class = _BoundedResponse

    class Pool(connectionpool.HTTPConnectionPool):
        ConnectionCls = Connection

    class SecurePool(connectionpool.HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, **kwargs)
            self.poolmanager.pool_classes_by_scheme = {"http": Pool, "https": SecurePool}

        def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
            line = _line.get()
            if line is None:
                return super().send(request, *args, **kwargs)
            try:
                response = super().send(request, *args, **(kwargs | line.settings()))
                if not kwargs.get("stream"):
                    _ = response.content
            except (requests.ConnectionError, requests.Timeout) as error:
                raise NoAnswer(error) from error
            if response.status_code == 429 or response.status_code >= 500:
                raise requests.HTTPError(response=response)
            if response.ok and response.headers.get("content-type", "").startswith("text/html"):
                raise requests.JSONDecodeError("a page came instead", response.text[:120], 0)
            return response

    return Adapter


class _BoundedResponse(http.client.HTTPResponse):
    """An answer that must be whole within the limit of the line it came by, however it drips."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        if (line := _line.get()) is not None:
            self.fp.close()
            self.fp = io.BufferedReader(_Bounded(sock, line.timeout_seconds))


class _Bounded(io.RawIOBase):
    def __init__(self, sock: socket.socket, seconds: float) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", 0)
        self._at = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        left = self._at - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer took too long")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()

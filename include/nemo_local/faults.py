"""HTTP answers that go wrong on request, for tests of the clients."""

from __future__ import annotations

import asyncio
import re
import threading
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_READ_LIMIT_BYTES = 4 * 1024 * 1024


class Fault(BaseModel):
    """Matches HTTP requests; the first that matches acts, ``times`` times (always when absent)."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    method: str | None = None
    path_regex: str
    model_contains: str | None = Field(default=None, description="Text in the body's `model`")
    status: int | None = Field(default=None, ge=100, le=599)
    body: Any = Field(default=None, description="JSON value, or text that is sent as it is")
    headers: dict[str, str] = Field(default_factory=dict)
    delay_seconds: float = Field(default=0.0, ge=0, le=300)
    drop_connection: bool = Field(default=False, description="Send half of an answer and end it")
    times: int | None = Field(default=None, ge=1)

    def asks_for_body(self) -> bool:
        return self.model_contains is not None

    def matches(self, method: str, path: str, model: str) -> bool:
        return (
            (self.method is None or self.method.upper() == method)
            and re.search(self.path_regex, path) is not None
            and (self.model_contains is None or self.model_contains in model)
        )


class Faults:
    """The faults in force. In memory: a restarted server answers well again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault.model_copy())

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def listed(self) -> list[Fault]:
        with self._lock:
            return [fault.model_copy() for fault in self._faults]

    def concern(self, method: str, path: str) -> list[Fault]:
        """Faults that may act on this request, as far as its first line tells."""
        with self._lock:
            return [f for f in self._faults if f.matches(method, path, f.model_contains or "")]

    def take(self, method: str, path: str, model: str) -> Fault | None:
        """The fault that acts on this request, if any; uses up one of its times."""
        with self._lock:
            for fault in self._faults:
                if fault.matches(method, path, model):
                    if fault.times is not None:
                        fault.times -= 1
                        if fault.times == 0:
                            self._faults.remove(fault)
                    return fault
        return None


class FaultMiddleware:
    """Applies faults before a request reaches its service."""

    def __init__(self, app: ASGIApp, faults: Faults) -> None:
        self._app = app
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/_local/"):
            await self._app(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        concern = self._faults.concern(method, path)
        model = ""
        if any(fault.asks_for_body() for fault in concern):
            model, receive = await _peek_model(receive)
        fault = self._faults.take(method, path, model) if concern else None
        if fault is None:
            await self._app(scope, receive, send)
            return
        await asyncio.sleep(fault.delay_seconds)
        if fault.status is None and not fault.drop_connection:
            await self._app(scope, receive, send)
            return
        await _answer(fault, send)


async def _answer(fault: Fault, send: Send) -> None:
    default = {"detail": f"injected fault: {fault.path_regex}"}
    value = default if fault.body is None else fault.body
    content = value.encode() if isinstance(value, str) else orjson.dumps(value)
    kind = b"text/plain" if isinstance(value, str) else b"application/json"
    headers = [(b"content-type", kind), (b"content-length", str(len(content)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in fault.headers.items()]
    await send({"type": "http.response.start", "status": fault.status or 200, "headers": headers})
    if fault.drop_connection:
        # Less than the announced length: the server then closes the connection under the reader.
        await send({"type": "http.response.body", "body": content[: len(content) // 2], "more_body": True})
        return
    await send({"type": "http.response.body", "body": content})


async def _peek_model(receive: Receive) -> tuple[str, Receive]:
    """Reads the body's beginning for its ``model`` and hands back a receive that replays it."""
    messages: list[Message] = []
    body = b""
    while len(body) < _READ_LIMIT_BYTES:
        message = await receive()
        messages.append(message)
        body += message.get("body", b"")
        if message["type"] != "http.request" or not message.get("more_body", False):
            break

    async def replay() -> Message:
        return messages.pop(0) if messages else await receive()

    return _model_in(body), replay


def _model_in(body: bytes) -> str:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    if not isinstance(document, dict):
        return ""
    for key in ("model", "target", "config", "output_model"):
        if isinstance(document.get(key), str):
            return str(document[key])
        if isinstance(document.get(key), dict) and isinstance(document[key].get("model"), str):
            return str(document[key]["model"])
    return ""

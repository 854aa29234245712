"""How requests reach our application inside Airflow's API server. Light: every task process loads this.

Clients expect `/api/jobs` and `/v1/feedback` at the root. A mount at `/api` would swallow Airflow's own
`/api/v2`, and a mount at `/api/jobs` does not match its bare prefix; so a root middleware leads these paths
to where we are mounted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]

MOUNT = "/flywheel"
# Each with everything below it.
OURS = (
    *("/api/jobs", "/api/health", "/api/metrics", "/api/nims", "/api/workloads"),
    *("/v1/feedback", "/v1/health"),
)
# Where the scope of a request keeps Airflow's application: the one that serves it, whoever made it.
AIRFLOW_KEY = "flywheel.airflow"


class Dispatch:
    """Root middleware: our paths go to our mount, every other request passes untouched."""

    def __init__(self, app: Asgi) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http":
            scope = {**scope, AIRFLOW_KEY: scope.get("app")}
            root = scope.get("root_path", "")
            path = scope["path"].removeprefix(root)
            if is_ours(path):
                scope["path"] = f"{root}{MOUNT}{path}"
                scope["raw_path"] = scope["path"].encode()
        await self._app(scope, receive, send)


def is_ours(path: str) -> bool:
    """Whether a path, less the server's own prefix, is one of ours at the root."""
    return any(path == ours or path.startswith(f"{ours}/") for ours in OURS)


class LazyApp:
    """Our application, loaded at its first request: no task process needs it."""

    def __init__(self) -> None:
        self._app: Asgi | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if self._app is None:
            # Not in the event loop: Airflow's own requests go on meanwhile.
            self._app = await asyncio.to_thread(_load)
        await self._app(scope, receive, send)


def _load() -> Asgi:
    from include.web.app import application  # noqa: PLC0415

    return application()

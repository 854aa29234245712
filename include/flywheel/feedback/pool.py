"""The pool of connections that the repository works on."""

from __future__ import annotations

from typing import Any

import asyncpg
import orjson

MIN_CONNECTIONS = 2
MAX_CONNECTIONS = 10
AWAY = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""What asyncpg raises while the database is away or goes away; the last where it is cut off in mid-answer."""
_COMMAND_SECONDS = 30.0
_CONNECT_SECONDS = 5.0


async def open_pool(dsn: str, *, least: int = MIN_CONNECTIONS, most: int = MAX_CONNECTIONS) -> asyncpg.Pool:
    """A pool of `least` to `most` connections. Raises asyncpg's errors, or OSError."""
    return await asyncpg.create_pool(
        dsn,
        min_size=least,
        max_size=most,
        init=_init,
        reset=_keep,
        timeout=_CONNECT_SECONDS,
        command_timeout=_COMMAND_SECONDS,
        server_settings={"application_name": "flywheel_feedback", "timezone": "UTC"},
    )


async def _init(connection: Any) -> None:
    await connection.set_type_codec(
        "jsonb", encoder=_encode, decoder=orjson.loads, schema="pg_catalog", format="text"
    )


async def _keep(_: Any) -> None:
    """Nothing to reset: no statement changes a session, and asyncpg's own reset is another round trip."""


def _encode(value: Any) -> str:
    return orjson.dumps(value).decode()

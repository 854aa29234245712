"""The feedback database behind the connection `flywheel_feedback`, or POSTGRES_HOST and its neighbours."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import psycopg2

from include.flywheel.errors import ConfigError
from include.flywheel.feedback import migrate as migrations
from include.flywheel.feedback.pool import MAX_CONNECTIONS, MIN_CONNECTIONS, open_pool
from include.flywheel.feedback.repository import FeedbackRepository

CONN_ID = "flywheel_feedback"
_CONNECT_SECONDS = 5


@dataclass(frozen=True)
class FeedbackPlace:
    """Where the feedback database is and who asks it. `options`: those of libpq, such as `sslmode`."""

    host: str = "127.0.0.1"
    port: int = 5432
    database: str = "feedback"
    user: str = "feedback"
    password: str = field(default="", repr=False)
    options: Mapping[str, str] = field(default_factory=dict)

    @property
    def dsn(self) -> str:
        """As a URI, with the password: never shown."""
        who = quote(self.user, safe="") + (f":{quote(self.password, safe='')}" if self.password else "")
        host = f"[{self.host}]" if ":" in self.host else quote(self.host, safe="")
        options = f"?{urlencode(self.options)}" if self.options else ""
        return f"postgresql://{who}@{host}:{self.port}/{quote(self.database, safe='')}{options}"


def find_place(environment: Mapping[str, str] = os.environ) -> FeedbackPlace:
    """What the environment says, else the connection.

    AIRFLOW_CONN_FLYWHEEL_FEEDBACK goes before POSTGRES_HOST, and both before Airflow's own store.
    Raises ConfigError.
    """
    if f"AIRFLOW_CONN_{CONN_ID.upper()}" not in environment and environment.get("POSTGRES_HOST"):
        return _from_environment(environment)
    return _from_connection()


def _from_environment(environment: Mapping[str, str]) -> FeedbackPlace:
    usual = FeedbackPlace()
    port = environment.get("POSTGRES_PORT") or str(usual.port)
    if not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ConfigError(f"POSTGRES_PORT = {port!r} is no port: set a number from 1 to 65535")
    return FeedbackPlace(
        host=environment["POSTGRES_HOST"],
        port=int(port),
        database=environment.get("POSTGRES_DB") or usual.database,
        user=environment.get("POSTGRES_USER") or usual.user,
        password=environment.get("POSTGRES_PASSWORD", ""),
    )


def _from_connection() -> FeedbackPlace:
    # Airflow takes seconds to load, and an API that is served alone needs none of it.
    from include.stores import connections  # noqa: PLC0415

    connection = connections.get(CONN_ID, "PostgreSQL for feedback; outside Airflow also POSTGRES_HOST")
    usual = FeedbackPlace()
    return FeedbackPlace(
        host=connection.host or usual.host,
        port=connection.port or usual.port,
        database=connection.schema or usual.database,
        user=connection.login or usual.user,
        password=connection.password or "",
        options={key: str(value) for key, value in connection.extra_dejson.items() if key.startswith("ssl")},
    )


@asynccontextmanager
async def open_feedback(
    place: FeedbackPlace | None = None, *, least: int = MIN_CONNECTIONS, most: int = MAX_CONNECTIONS
) -> AsyncIterator[FeedbackRepository]:
    """The repository on a pool of its own, closed at the end. Raises ConfigError."""
    pool = await open_pool((place or find_place()).dsn, least=least, most=most)
    try:
        yield FeedbackRepository(pool)
    finally:
        await pool.close()


def connect(place: FeedbackPlace | None = None) -> Any:
    """A psycopg2 connection, for the caller to close. Raises ConfigError where nobody answers."""
    place = place or find_place()
    try:
        return psycopg2.connect(
            place.dsn, connect_timeout=_CONNECT_SECONDS, options="-c timezone=UTC", application_name=CONN_ID
        )
    except psycopg2.OperationalError as error:
        raise ConfigError(
            f"the feedback database {place.database!r} at {place.host}:{place.port} does not let "
            f"{place.user!r} in: {str(error).strip()}"
        ) from None


def migrate(place: FeedbackPlace | None = None, *, applied: Callable[[str], None] | None = None) -> list[str]:
    """Bring the database to this program's schema; the names of what was applied. Raises ConfigError."""
    connection = connect(place)
    try:
        return migrations.migrate(connection, applied=applied)
    finally:
        connection.close()

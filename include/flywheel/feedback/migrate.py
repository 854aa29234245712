"""Brings a database to the schema of this program: SQL files in order, each once, each in a transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from include.flywheel.errors import MigrationError

FOLDER = Path(__file__).parent / "migrations"
APPLICATION_ROLE = "flywheel_app"
"""The unprivileged role of applications; where it exists it is given what the API needs."""
TABLE = """CREATE TABLE IF NOT EXISTS schema_migrations (
    name       text PRIMARY KEY,
    digest     text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)"""
# Any number, the same in every version: whoever migrates waits for whoever does so already.
_LOCK = 8_142_011_907


class Connection(Protocol):
    """A connection of DB-API 2.0, psycopg2's or psycopg's, with no transaction open."""

    def cursor(self) -> Any:
        """A cursor."""

    def commit(self) -> None:
        """End the transaction."""

    def rollback(self) -> None:
        """Undo the transaction."""


@dataclass(frozen=True)
class Migration:
    """One file. Its digest is SHA-256 of its text."""

    name: str
    sql: str

    @property
    def digest(self) -> str:
        """64 hexadecimal characters."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations(folder: Path = FOLDER) -> list[Migration]:
    """The files in their order."""
    return [Migration(path.stem, path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.sql"))]


def migrate(
    connection: Connection,
    known: Sequence[Migration] | None = None,
    *,
    applied: Callable[[str], None] | None = None,
) -> list[str]:
    """Apply what the database lacks; the names of what was applied.

    :param known: None: the files of this program.
    :param applied: told each name as it is applied.
    :raises MigrationError: an applied file has changed since, or the database is ahead of this program.
    """
    known = migrations() if known is None else known
    done = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        connection.commit()
        try:
            cursor.execute(TABLE)
            connection.commit()
            for one in _missing(cursor, known):
                cursor.execute(one.sql)
                cursor.execute(
                    "INSERT INTO schema_migrations (name, digest) VALUES (%s, %s)", (one.name, one.digest)
                )
                connection.commit()
                done.append(one.name)
                if applied is not None:
                    applied(one.name)
            _grant(cursor)
            connection.commit()
        finally:
            connection.rollback()
            cursor.execute("SELECT pg_advisory_unlock(%s)", (_LOCK,))
            connection.commit()
    return done


def _missing(cursor: Any, known: Sequence[Migration]) -> list[Migration]:
    cursor.execute("SELECT name, digest FROM schema_migrations ORDER BY name")
    stored = dict(cursor.fetchall())
    for one in known:
        if stored.get(one.name, one.digest) != one.digest:
            raise MigrationError(
                f"migration {one.name!r} was changed after it was applied (its digest was "
                f"{stored[one.name][:12]}…, now it is {one.digest[:12]}…): restore the file, and write what "
                "is new into a file of its own"
            )
    if ahead := sorted(stored.keys() - {one.name for one in known}):
        raise MigrationError(
            f"the database has the migration {ahead[-1]!r}, which this program does not know: it was brought "
            "up to date by a newer version; run that version"
        )
    missing = [one for one in known if one.name not in stored]
    if missing and stored and missing[0].name < max(stored):
        raise MigrationError(
            f"migration {missing[0].name!r} comes before {max(stored)!r}, which is applied: give it a later "
            "name"
        )
    return missing


def _grant(cursor: Any) -> None:
    """What a newer version needs, to the application role."""
    cursor.execute(
        "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = %s)"
        " AND EXISTS (SELECT FROM pg_proc WHERE proname = 'grant_feedback_access')",
        (APPLICATION_ROLE,),
    )
    if cursor.fetchone()[0]:
        cursor.execute("SELECT grant_feedback_access(%s)", (APPLICATION_ROLE,))

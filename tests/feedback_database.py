"""A live PostgreSQL for the tests of feedback: the embedded server, or that of POSTGRES_TEST_DSN."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg2

from include.flywheel.feedback.migrate import migrate
from include.local_stack import postgres
from include.stores.feedback import FeedbackPlace, connect

TEMPLATE = "feedback_template"
_numbers = itertools.count()


class FeedbackServer:
    """A server; `database()` makes every database on it, with this program's schema or empty."""

    def __init__(self, superuser: FeedbackPlace) -> None:
        self.superuser = superuser
        self._migrated = False

    @contextmanager
    def database(self, *, empty: bool = False) -> Iterator[FeedbackPlace]:
        """A database of its own, dropped afterwards whoever is connected."""
        name = f"feedback_{os.getpid()}_{next(_numbers)}"
        if not empty and not self._migrated:
            self._make_template()
        self.execute(f"CREATE DATABASE {name}" + ("" if empty else f" TEMPLATE {TEMPLATE}"))
        try:
            yield replace(self.superuser, database=name)
        finally:
            self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def execute(self, statement: str) -> None:
        """One statement as the superuser, outside any transaction."""
        with closing(psycopg2.connect(self.superuser.dsn)) as connection:
            connection.autocommit = True
            connection.cursor().execute(statement)

    def _make_template(self) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)")
        self.execute(f"CREATE DATABASE {TEMPLATE}")
        with closing(connect(replace(self.superuser, database=TEMPLATE))) as connection:
            migrate(connection)
        self._migrated = True


@contextmanager
def feedback_server(free_port: Callable[[], int], log: Path) -> Iterator[FeedbackServer]:
    """The server, ended afterwards; as root its data lies below /var/tmp, where its account can reach it."""
    if given := os.environ.get("POSTGRES_TEST_DSN"):
        yield FeedbackServer(place_of(given))
        return
    above = "/var/tmp" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="flywheel-tests-", dir=above))
    service, uri = postgres.start(folder, free_port(), log=log, env=os.environ)
    try:
        yield FeedbackServer(replace(place_of(uri), database="postgres"))
    finally:
        # At once: nobody needs what is in it any more.
        os.kill(service.pid, signal.SIGQUIT)
        service.stop()
        shutil.rmtree(folder, ignore_errors=True)


def place_of(uri: str) -> FeedbackPlace:
    """The place that a URI names."""
    url = urlsplit(uri)
    return FeedbackPlace(
        host=str(url.hostname),
        port=url.port or 5432,
        database=url.path.lstrip("/"),
        user=unquote(url.username or ""),
        password=unquote(url.password or ""),
    )


def rows(place: FeedbackPlace, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """What one statement answers, committed; nothing where it answers nothing."""
    with closing(connect(place)) as connection:
        cursor = connection.cursor()
        cursor.execute(statement, values or None)
        found = cursor.fetchall() if cursor.description else []
        connection.commit()
    return list(found)

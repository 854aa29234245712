"""A PostgreSQL with many rows, and the API on it as a process of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from include.flywheel.feedback.migrate import migrate
from include.local_stack import postgres
from include.stores.feedback import FeedbackPlace, connect

DAYS = 90
# 3 models, 5 intents (one of them none), 2 projects; users and sessions as in a product of some size.
FILL = """
INSERT INTO feedback (query, response, model, rating, category, memory_used, user_id, session_id, intent,
                      project, "timestamp")
SELECT 'How do I do thing number ' || i || ' with the tools that I have?',
       repeat('You open the settings and choose the entry ' || i || '. ', 4),
       'model-' || i % 3, CASE WHEN random() < 0.8 THEN 1 ELSE -1 END,
       CASE WHEN i % 11 = 0 THEN 'wrong_tool' END, (random() * 1e6)::bigint,
       'user-' || (random() ^ 2 * {users})::bigint, 'session-' || i / 4,
       (ARRAY['code', 'reasoning', 'general', 'search', NULL])[1 + (random() * 4.999)::int % 5],
       'project-' || i % 2,
       now() - make_interval(secs => ({rows} - i) * {days} * 86400.0 / {rows})
FROM generate_series({first}, {last}) i
"""
_CHUNK_ROWS = 100_000


@contextmanager
def database(rows: int, folder: str | None, *, durable: bool) -> Iterator[FeedbackPlace]:
    """A server of its own with a filled database."""
    above = folder or ("/var/tmp" if os.geteuid() == 0 else None)
    home = Path(tempfile.mkdtemp(prefix="flywheel-bench-", dir=above))
    service, uri = postgres.start(home, free_port(), log=home.with_suffix(".log"), env=os.environ)
    url = urlsplit(uri)
    place = FeedbackPlace(
        "127.0.0.1", int(url.port or 0), "bench", unquote(url.username or ""), unquote(url.password or "")
    )
    try:
        with closing(connect(replace(place, database="postgres"))) as connection:
            connection.autocommit = True
            connection.cursor().execute("CREATE DATABASE bench")
            if durable:
                connection.cursor().execute("ALTER DATABASE bench SET synchronous_commit = on")
        fill(place, rows)
        yield place
    finally:
        service.stop()
        shutil.rmtree(home, ignore_errors=True)
        home.with_suffix(".log").unlink(missing_ok=True)


def fill(place: FeedbackPlace, rows: int) -> None:
    """Rows over the last 90 days, counted at the end in one go."""
    with closing(connect(place)) as connection:
        migrate(connection)
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("SET synchronous_commit = off")
        cursor.execute("ALTER TABLE feedback DISABLE TRIGGER USER")
        for first in range(1, rows + 1, _CHUNK_ROWS):
            last = min(rows, first + _CHUNK_ROWS - 1)
            cursor.execute(
                FILL.format(rows=rows, days=DAYS, first=first, last=last, users=max(rows // 20, 1))
            )
        cursor.execute("ALTER TABLE feedback ENABLE TRIGGER USER")
        cursor.execute("SELECT rebuild_feedback_rollups()")
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")


@contextmanager
def served(place: FeedbackPlace, exports: Path) -> Iterator[tuple[int, int]]:
    """Port and process id of the API without keys."""
    port = free_port()
    environment = os.environ | {
        "POSTGRES_HOST": place.host,
        "POSTGRES_PORT": str(place.port),
        "POSTGRES_DB": place.database,
        "POSTGRES_USER": place.user,
        "POSTGRES_PASSWORD": place.password,
        "FLYWHEEL_EXPORT_ROOT": str(exports),
    }
    environment.pop("AIRFLOW_CONN_FLYWHEEL_FEEDBACK", None)
    process = subprocess.Popen(
        [sys.executable, "-m", "include.web.feedback", "--port", str(port), "--no-auth"], env=environment
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("the feedback API did not start") from None
            time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

"""Exports from a live table: streamed, of one moment, and noted for whoever is erased later."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from include.flywheel.datasets.digests import dataset_digest
from include.flywheel.feedback.export.folder import LocalFolder
from include.flywheel.feedback.export.names import checked_name
from include.flywheel.feedback.export.run import run_export
from include.flywheel.feedback.export.spec import ExportSpec, Filters
from include.flywheel.feedback.repository import user_digest
from include.stores.feedback import FeedbackPlace, connect

END = datetime(2026, 11, 22, tzinfo=UTC)
INSERT = """
INSERT INTO feedback (query, response, model, rating, expected_answer, intent, project, user_id, "timestamp")
SELECT 'how do I change flight ' || i, repeat('Open your booking and choose. ', %(repeat)s) || i,
       'm' || i %% 2, CASE WHEN i %% 3 = 0 THEN -1 ELSE 1 END,
       CASE WHEN i %% 6 = 0 THEN 'Ask an agent to change it ' || i END,
       CASE WHEN i %% 5 = 0 THEN NULL ELSE 'code' END, 'p', 'u' || i %% 7, %(end)s - make_interval(mins => i)
FROM generate_series(1, %(count)s) i
"""


def fill(place: FeedbackPlace, count: int, repeat: int = 1) -> None:
    with closing(connect(place)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(INSERT, {"count": count, "end": END, "repeat": repeat})


def ask(place: FeedbackPlace, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with closing(connect(place)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement, values or None)
        return list(cursor.fetchall()) if cursor.description else []


def export(place: FeedbackPlace, folder: Path, name: str = "out", **spec: Any) -> Any:
    filters = Filters.last(30, now=END).model_copy(update=spec.pop("filters", {}))
    return run_export(
        lambda: closing(connect(place)),
        ExportSpec(filters=filters, **spec),
        LocalFolder(folder),
        checked_name(name),
    )


def test_the_rows_of_the_range_are_exported_newest_first(
    feedback_place: FeedbackPlace, tmp_path: Path
) -> None:
    fill(feedback_place, 60)
    filters = {"start": END - timedelta(minutes=40), "end": END - timedelta(minutes=10)}
    done = export(feedback_place, tmp_path, format="all", filters=filters)
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    numbers = [int(line["messages"][0]["content"].split()[-1]) for line in lines]
    assert numbers == list(range(11, 41))
    assert (done.counts.corrected_samples, done.counts.uncorrected_negative_samples) == (5, 5)
    assert lines[0]["metadata"]["timestamp"] == "2026-11-21T23:49:00Z"


def test_model_intent_and_project_are_filters(feedback_place: FeedbackPlace, tmp_path: Path) -> None:
    fill(feedback_place, 60)
    assert export(feedback_place, tmp_path, filters={"model": "m1"}).counts.rows_read == 30
    assert export(feedback_place, tmp_path, filters={"intent": "code"}).counts.rows_read == 48
    assert (
        export(feedback_place, tmp_path, filters={"project": "'; DROP TABLE feedback; --"}).counts.rows_read
        == 0
    )


def test_an_export_is_noted_once_with_its_users(feedback_place: FeedbackPlace, tmp_path: Path) -> None:
    fill(feedback_place, 5)
    done = export(feedback_place, tmp_path, filters={"project": "p"})
    export(feedback_place, tmp_path, filters={"project": "p"})
    [(path, digest, rows, filters, kind)] = ask(
        feedback_place, "SELECT path, digest, rows, filters, kind FROM feedback_exports"
    )
    assert (path, kind, rows) == (str(tmp_path / "out.manifest.json"), "export", 5)
    assert digest == dataset_digest(done.digests)
    assert filters["project"] == "p"
    users = ask(feedback_place, "SELECT user_digest FROM feedback_export_users")
    assert {bytes(one) for (one,) in users} == {user_digest(f"u{n}") for n in range(1, 6)}


def test_rows_that_are_left_out_name_nobody(feedback_place: FeedbackPlace, tmp_path: Path) -> None:
    fill(feedback_place, 5)
    assert export(feedback_place, tmp_path, filters={"min_query_chars": 900}).counts.kept == 0
    assert ask(feedback_place, "SELECT * FROM feedback_export_users") == []


def test_a_file_that_cannot_be_noted_does_not_appear(feedback_place: FeedbackPlace, tmp_path: Path) -> None:
    fill(feedback_place, 5)
    ask(feedback_place, "ALTER TABLE feedback_exports ADD CHECK (rows < 0) NOT VALID")
    with pytest.raises(psycopg2.errors.CheckViolation):
        export(feedback_place, tmp_path, format="all")
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_goes_away_in_the_middle_leaves_no_file(
    feedback_place: FeedbackPlace, tmp_path: Path
) -> None:
    fill(feedback_place, 9_000)

    def kill(rows: int) -> None:
        if rows == 3_000:
            ask(
                feedback_place,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid()",
            )

    with pytest.raises(psycopg2.OperationalError):
        run_export(
            lambda: closing(connect(feedback_place)),
            ExportSpec(filters=Filters.last(30, now=END)),
            LocalFolder(tmp_path),
            checked_name("out"),
            progress=kill,
        )
    assert list(tmp_path.iterdir()) == []


def test_rows_that_come_meanwhile_are_not_in_it(feedback_place: FeedbackPlace, tmp_path: Path) -> None:
    fill(feedback_place, 3_000)

    def more(rows: int) -> None:
        if rows == 1_000:
            ask(feedback_place, "DELETE FROM feedback WHERE query LIKE '%9'")

    done = run_export(
        lambda: closing(connect(feedback_place)),
        ExportSpec(filters=Filters.last(30, now=END)),
        LocalFolder(tmp_path),
        checked_name("out"),
        progress=more,
    )
    assert done.counts.rows_read == 3_000


def test_a_user_who_is_erased_meanwhile_is_in_no_file(feedback_place: FeedbackPlace, tmp_path: Path) -> None:
    fill(feedback_place, 3_000)
    told = []

    def erase(rows: int) -> None:
        told.append(rows)
        if len(told) == 2:
            ask(feedback_place, "DELETE FROM feedback WHERE user_id = 'u3'")

    done = run_export(
        lambda: closing(connect(feedback_place)),
        ExportSpec(filters=Filters.last(30, now=END)),
        LocalFolder(tmp_path),
        checked_name("out"),
        progress=erase,
    )
    assert done.counts.rows_read == 3_000 - 429
    content = (tmp_path / "out.jsonl").read_text()
    assert "flight 3 " not in content
    assert 'flight 10"' not in content
    assert content.count("\n") == done.counts.kept


_CHILD = """
import resource, sys
from contextlib import closing
from pathlib import Path
from include.flywheel.feedback.export.folder import LocalFolder
from include.flywheel.feedback.export.names import checked_name
from include.flywheel.feedback.export.run import run_export
from include.flywheel.feedback.export.spec import ExportSpec, Filters
from include.stores.feedback import connect, find_place
from datetime import datetime, UTC
place = find_place()
spec = ExportSpec(filters=Filters.last(30, now=datetime(2026, 11, 22, tzinfo=UTC)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
done = run_export(lambda: closing(connect(place)), spec, LocalFolder(Path(sys.argv[1])), checked_name("out"))
print(done.files[0].bytes, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def test_memory_does_not_grow_with_the_texts(feedback_place: FeedbackPlace, tmp_path: Path) -> None:
    """Far more than it grows goes through the process."""
    fill(feedback_place, 6_000, repeat=400)
    variables = {
        "POSTGRES_HOST": feedback_place.host,
        "POSTGRES_PORT": str(feedback_place.port),
        "POSTGRES_DB": feedback_place.database,
        "POSTGRES_USER": feedback_place.user,
        "POSTGRES_PASSWORD": feedback_place.password,
    }
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(tmp_path)],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=True,
    )
    written, grown = map(int, done.stdout.split())
    assert written > 60_000_000
    assert grown < written / 4

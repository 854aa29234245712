"""Feedback once an hour, on a live database: fresh figures, old rows into files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.flywheel.runs.documents import now
from include.flywheel.runs.upkeep_reports import Action, Report
from include.pipeline.upkeep.feedback import keep_feedback
from include.pipeline.upkeep.journal import Journal
from include.stores.feedback import FeedbackPlace

from ...feedback_database import rows

INSERT = """
INSERT INTO feedback (query, response, model, rating, "timestamp")
SELECT 'how do I change flight ' || i, 'open your booking', 'm', 1, now() - %s * interval '1 day'
FROM generate_series(1, %s) i
"""
VIEW = "SELECT coalesce(sum(total_feedback), 0) FROM model_accuracy_by_intent"
LEFT = "SELECT count(*) FROM feedback"


@pytest.fixture
def place(feedback_place: FeedbackPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FeedbackPlace:
    """A database with 20 rows of 100 days ago and 5 of yesterday, which the environment names."""
    for name, value in {
        "POSTGRES_HOST": feedback_place.host,
        "POSTGRES_PORT": str(feedback_place.port),
        "POSTGRES_DB": feedback_place.database,
        "POSTGRES_USER": feedback_place.user,
        "POSTGRES_PASSWORD": feedback_place.password,
        "FLYWHEEL_EXPORT_ROOT": str(tmp_path / "root"),
    }.items():
        monkeypatch.setenv(name, value)
    rows(feedback_place, INSERT, 100, 20)
    rows(feedback_place, INSERT, 1, 5)
    return feedback_place


def journal(*, dry_run: bool = False) -> Journal:
    return Journal(Report(report_id="r", dry_run=dry_run, started_at=now()), datetime.now(UTC))


def test_the_view_is_fresh_and_nothing_is_archived_unasked(place: FeedbackPlace) -> None:
    assert rows(place, VIEW) == [(0,)]
    made = journal()
    keep_feedback(made, None)
    assert rows(place, VIEW) == [(25,)]
    assert rows(place, LEFT) == [(25,)]
    assert made.report.rows == []


def test_old_rows_move_into_files_and_the_view_knows(place: FeedbackPlace, tmp_path: Path) -> None:
    made = journal()
    keep_feedback(made, 30)
    assert rows(place, LEFT) == rows(place, VIEW) == [(5,)]
    [file] = (tmp_path / "root" / "archive").iterdir()
    assert len(file.read_bytes().splitlines()) == 20
    [row] = made.report.rows
    assert (row.kind, row.name, row.action) == ("feedback", "20 rows", Action.REMOVED)
    keep_feedback(made, 30)
    assert len(made.report.rows) == 1


def test_a_dry_run_changes_nothing(place: FeedbackPlace, tmp_path: Path) -> None:
    made = journal(dry_run=True)
    keep_feedback(made, 30)
    assert rows(place, LEFT) == [(25,)]
    assert rows(place, VIEW) == [(0,)]
    assert not (tmp_path / "root").exists()
    assert [row.action for row in made.report.rows] == [Action.WOULD_REMOVE]


def test_rows_stay_where_there_is_no_place_for_their_files(
    place: FeedbackPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FLYWHEEL_EXPORT_ROOT")
    made = journal()
    keep_feedback(made, 30)
    [row] = made.report.rows
    assert row.action is Action.FAILED
    assert "FLYWHEEL_EXPORT_ROOT is not set" in str(row.error)
    assert rows(place, LEFT) == [(25,)]
    # The other part of the work was done.
    assert rows(place, VIEW) == [(25,)]


def test_a_database_that_is_away_is_reported(place: FeedbackPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_DB", "nobody_made_it")
    made = journal()
    for days in (None, 30):
        keep_feedback(made, days)
    assert [(row.kind, row.action) for row in made.report.rows] == [("feedback", Action.FAILED)]


@pytest.mark.parametrize("days", [None, 30])
def test_a_database_without_tables_names_the_remedy(
    place: FeedbackPlace, feedback_server: Any, monkeypatch: pytest.MonkeyPatch, days: int | None
) -> None:
    made = journal()
    with feedback_server.database(empty=True) as empty:
        monkeypatch.setenv("POSTGRES_DB", empty.database)
        keep_feedback(made, days)
    [row] = made.report.rows
    assert row.action is Action.FAILED
    assert "include.cli.feedback migrate" in str(row.error)


def test_without_a_database_there_is_nothing_to_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSTGRES_HOST", raising=False)
    made = journal()
    keep_feedback(made, 30)
    assert made.report.rows == []


def test_an_age_counts_to_the_second(place: FeedbackPlace) -> None:
    made = Journal(journal().report, datetime.now(UTC) + timedelta(days=29, minutes=1))
    keep_feedback(made, 30)
    assert rows(place, LEFT) == [(0,)]

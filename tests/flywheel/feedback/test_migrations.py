"""Migrations on a live PostgreSQL: from empty, from each earlier version, and what is refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from include.flywheel.errors import MigrationError
from include.flywheel.feedback.migrate import Migration, migrate, migrations
from include.stores.feedback import FeedbackPlace, connect

KNOWN = migrations()
INSERT = """
INSERT INTO feedback (query, response, model, rating, intent, user_id, session_id, memory_used, "timestamp")
SELECT 'q', 'r', 'm' || i % 2, i % 2 * 2 - 1, CASE WHEN i % 3 = 0 THEN 'code' END, 'u' || i % 4, 's' || i, i,
       now() - make_interval(days => i % 5)
FROM generate_series(1, 60) i
"""


@pytest.fixture
def empty(feedback_server: Any) -> Iterator[FeedbackPlace]:
    with feedback_server.database(empty=True) as place:
        yield place


def ask(place: FeedbackPlace, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    with closing(connect(place)) as connection:
        cursor = connection.cursor()
        cursor.execute(statement, values or None)
        found = cursor.fetchall() if cursor.description else []
        connection.commit()
        return list(found)


def up(place: FeedbackPlace, known: list[Migration] | None = None) -> list[str]:
    with closing(connect(place)) as connection:
        return migrate(connection, known)


def counted(place: FeedbackPlace) -> Any:
    """Everything that is counted: the view, the counters, the rollups."""
    return (
        ask(place, "SELECT model, intent, project, positive_feedback, negative_feedback FROM "
            "model_accuracy_now ORDER BY 1, 2, 3"),
        ask(place, "SELECT day, model, intent, positive, negative, memory_used FROM feedback_daily "
            "JOIN feedback_groups USING (group_id) ORDER BY 1, 2, 3"),
        ask(place, "SELECT kind, model, intent, project, day, people FROM feedback_last_days "
            "JOIN feedback_scopes USING (scope_id) ORDER BY 1, 2, 3, 4, 5"),
    )  # fmt: skip


def test_from_empty_and_a_second_time(empty: FeedbackPlace) -> None:
    told: list[str] = []
    with closing(connect(empty)) as connection:
        assert migrate(connection, applied=told.append) == [one.name for one in KNOWN] == told
    assert up(empty) == []
    stored = ask(empty, "SELECT name, digest FROM schema_migrations ORDER BY name")
    assert stored == [(one.name, one.digest) for one in KNOWN]
    names = {
        name
        for (name,) in ask(empty, "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace")
    }
    assert names >= {"get_weekly_finetuning_dataset", "refresh_model_accuracy", "update_updated_at_column"}
    triggers = {
        name for (name,) in ask(empty, "SELECT tgname FROM pg_trigger WHERE tgrelid = 'feedback'::regclass")
    }
    assert triggers >= {"trigger_refresh_accuracy", "trigger_update_feedback_timestamp"}
    assert ask(empty, "SELECT matviewname FROM pg_matviews") == [("model_accuracy_by_intent",)]


@pytest.mark.parametrize("version", range(1, len(KNOWN)))
def test_from_each_earlier_version_with_rows_in_it(
    version: int, empty: FeedbackPlace, feedback_place: FeedbackPlace
) -> None:
    assert up(empty, KNOWN[:version]) == [one.name for one in KNOWN[:version]]
    ask(empty, INSERT)
    assert up(empty) == [one.name for one in KNOWN[version:]]
    ask(empty, INSERT)
    ask(empty, "SELECT fold_feedback()")
    ask(feedback_place, INSERT)
    ask(feedback_place, INSERT)
    ask(feedback_place, "SELECT fold_feedback()")
    assert counted(empty) == counted(feedback_place)
    assert sum(row[3] + row[4] for row in counted(empty)[0]) == 120


def test_a_file_that_was_changed_after_it_was_applied_is_refused(empty: FeedbackPlace) -> None:
    up(empty, KNOWN[:2])
    changed = [KNOWN[0], replace(KNOWN[1], sql=KNOWN[1].sql + "\n-- more"), *KNOWN[2:]]
    with pytest.raises(MigrationError, match=r"'0002_accuracy' was changed after it was applied"):
        up(empty, changed)
    assert ask(empty, "SELECT count(*) FROM schema_migrations") == [(2,)]
    assert len(up(empty)) == len(KNOWN) - 2


def test_a_newer_database_and_a_file_before_the_last_are_refused(empty: FeedbackPlace) -> None:
    up(empty)
    with pytest.raises(MigrationError, match=r"'0005_api_keys', which this program does not know"):
        up(empty, KNOWN[:4])
    with pytest.raises(MigrationError, match=r"'0003_a' comes before '0005_api_keys'"):
        up(empty, sorted([*KNOWN, Migration("0003_a", "SELECT 1")], key=lambda one: one.name))


def test_a_migration_that_fails_leaves_nothing_of_itself(empty: FeedbackPlace) -> None:
    bad = Migration("0002_bad", "CREATE TABLE half (n int); SELECT 1 / 0")
    with pytest.raises(Exception, match="division by zero"):
        up(empty, [KNOWN[0], bad])
    assert ask(empty, "SELECT to_regclass('half'), to_regclass('feedback') IS NOT NULL") == [(None, True)]
    # The lock is free again: another takes it at once.
    assert len(up(empty)) == len(KNOWN) - 1


def test_many_at_once_apply_each_file_once(empty: FeedbackPlace) -> None:
    found: list[list[str]] = []
    threads = [threading.Thread(target=lambda: found.append(up(empty))) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(map(len, found)) == [0, 0, 0, 0, 0, len(KNOWN)]

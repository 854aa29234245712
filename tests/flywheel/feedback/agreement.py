"""Compares what is counted with the table, in SQL of its own: nothing of the triggers' arithmetic is used."""

from __future__ import annotations

from typing import Any

GROUP = "model, coalesce(intent, ''), coalesce(project, '')"
DAY = "(\"timestamp\" AT TIME ZONE 'UTC')::date"

BY_TABLE = (
    f"SELECT {GROUP}, count(*) FILTER (WHERE rating = 1), count(*) FILTER (WHERE rating = -1) "
    "FROM feedback GROUP BY 1, 2, 3"
)
COUNTERS = "SELECT model, intent, project, positive_feedback, negative_feedback FROM model_accuracy_now"
VIEW = "SELECT model, intent, project, positive_feedback, negative_feedback FROM model_accuracy_by_intent"

DAYS_BY_TABLE = (
    f"SELECT {DAY}, {GROUP}, coalesce(category, ''), count(*) FILTER (WHERE rating = 1), "
    "count(*) FILTER (WHERE rating = -1), sum(memory_used) FROM feedback GROUP BY 1, 2, 3, 4, 5"
)
DAILY = (
    "SELECT day, model, intent, project, category, positive, negative, memory_used FROM feedback_daily "
    "JOIN feedback_groups USING (group_id)"
)

# Distinct people of every kind, filter and range of days up to the last, where there are any.
_PEOPLE = f"""
SELECT kind, who, model, coalesce(intent, '') AS intent, coalesce(project, '') AS project, {DAY} AS day
FROM feedback CROSS JOIN LATERAL (VALUES ('user', user_id), ('session', session_id)) AS p (kind, who)
WHERE who IS NOT NULL
"""
PEOPLE_BY_TABLE = f"""
WITH people AS ({_PEOPLE}), days AS (SELECT DISTINCT {DAY} AS since FROM feedback)
SELECT kind, CASE WHEN m THEN model END, CASE WHEN i THEN intent END, CASE WHEN p THEN project END, since,
       count(DISTINCT who)
FROM people JOIN days ON day >= since
CROSS JOIN (VALUES (true), (false)) AS a (m) CROSS JOIN (VALUES (true), (false)) AS b (i)
CROSS JOIN (VALUES (true), (false)) AS c (p)
GROUP BY 1, 2, 3, 4, 5, m, i, p
"""
PEOPLE = f"""
WITH days AS (SELECT DISTINCT {DAY} AS since FROM feedback)
SELECT kind, model, intent, project, since, sum(people)
FROM feedback_last_days JOIN feedback_scopes USING (scope_id) JOIN days ON day >= since
GROUP BY kind, model, intent, project, since HAVING sum(people) <> 0
"""
SEEN_BY_TABLE = (
    f"SELECT kind, who, model, intent, project, day, count(*) FROM ({_PEOPLE}) AS seen "
    "GROUP BY 1, 2, 3, 4, 5, 6"
)
SEEN = (
    "SELECT kind, who, model, intent, project, day, times FROM feedback_seen "
    "JOIN feedback_groups USING (group_id)"
)


def fold(cursor: Any) -> None:
    """Add everything that is pending to the rollups."""
    while True:
        cursor.execute("SELECT fold_feedback()")
        if cursor.fetchone()[0] == 0:
            return


def assert_all_agree(cursor: Any) -> None:
    """Counters, view and rollups are what the table holds, and nothing else."""
    fold(cursor)
    cursor.execute("SELECT refresh_model_accuracy()")
    for table, *counted in (
        (BY_TABLE, COUNTERS, VIEW),
        (DAYS_BY_TABLE, DAILY),
        (SEEN_BY_TABLE, SEEN),
        (PEOPLE_BY_TABLE, PEOPLE),
    ):
        expected = found(cursor, table)
        for statement in counted:
            assert found(cursor, statement) == expected, statement


def found(cursor: Any, statement: str) -> list[tuple[Any, ...]]:
    """The rows, in an order of their own; one may not appear twice."""
    cursor.execute(statement)
    rows = sorted(cursor.fetchall(), key=repr)
    assert len(rows) == len(set(rows))
    return rows

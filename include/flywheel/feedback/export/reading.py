"""Rows of feedback for an export, streamed from PostgreSQL by a cursor of the server."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC
from typing import Any
from uuid import uuid4

from include.flywheel.feedback.export.lines import FeedbackRow
from include.flywheel.feedback.export.spec import Filters

FETCH_ROWS = 200
"""Rows that are held at a time."""

_COLUMNS = (
    "feedback_id::text, timestamp, query, response, model, rating, expected_answer, intent, project, "
    "category, reason, user_id"
)


def export_rows(connection: Any, filters: Filters) -> Generator[FeedbackRow, None, None]:
    """The rows in the range, newest first, as they stood when the first was read.

    :param connection: a psycopg2 connection; it is in a transaction until the caller ends it.
    """
    clauses = ["timestamp >= %(start)s", "timestamp < %(end)s"]
    values: dict[str, Any] = {"start": filters.start, "end": filters.end}
    for column in ("model", "intent", "project"):
        wanted = getattr(filters, column)
        if wanted is not None:
            clauses.append(f"{column} = %({column})s")
            values[column] = wanted
    # Of fixed column names; every value is bound.
    sql = f"SELECT {_COLUMNS} FROM feedback WHERE {' AND '.join(clauses)} ORDER BY timestamp DESC, id DESC"  # noqa: S608
    with connection.cursor(f"export_{uuid4().hex}") as cursor:
        cursor.itersize = FETCH_ROWS
        cursor.execute(sql, values)
        for found in cursor:
            row = FeedbackRow._make(found)
            yield row if row.timestamp.tzinfo else row._replace(timestamp=row.timestamp.replace(tzinfo=UTC))

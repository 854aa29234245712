"""Users' judgements of a workload's answers, for its data set."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator
from contextlib import closing
from typing import Any
from uuid import uuid4

import psycopg2

from include.flywheel.config.workload import Workload
from include.flywheel.datasets.build import Feedback
from include.flywheel.datasets.feedback.judgements import FeedbackRecord, Judgements
from include.flywheel.datasets.feedback.use import FeedbackUse
from include.flywheel.errors import ConfigError
from include.stores import connections
from include.stores.feedback import CONN_ID, connect

log = logging.getLogger(__name__)

_FETCH_ROWS = 5_000
# Rows of another client or workload never count, whatever trace they name.
_SELECT = """
SELECT feedback_id::text, (extract(epoch FROM "timestamp") * 1000)::bigint, rating, query, response,
       expected_answer, trace_id
FROM feedback
WHERE (client_id = %(client)s AND workload_id = %(workload)s)
   OR (trace_id IS NOT NULL AND client_id IS NULL AND workload_id IS NULL)
   OR (trace_id IS NOT NULL AND client_id = %(client)s AND workload_id IS NULL)
"""


class FeedbackAway(OSError):
    """The feedback database does not answer; a second try may mend that."""


def is_configured() -> bool:
    """Whether anybody has said where the feedback database is."""
    return bool(os.environ.get("POSTGRES_HOST")) or connections.find(CONN_ID) is not None


def find_feedback(workload: Workload) -> Feedback | None:
    """What users said of the workload's answers; None where it is not used, or no database is configured.

    Raises ConfigError where its tables are missing, and FeedbackAway where it does not answer.
    """
    if workload.feedback.use is FeedbackUse.OFF:
        return None
    if not is_configured():
        log.info("no feedback is used: connection %r is not configured", CONN_ID)
        return None
    try:
        connection = connect()
    except ConfigError as error:
        raise FeedbackAway(str(error)) from error
    with closing(connection):
        judgements = Judgements.of(_records(connection, workload.client_id, workload.workload_id))
    return Feedback(judgements, workload.feedback.use)


def _records(connection: Any, client_id: str, workload_id: str) -> Generator[FeedbackRecord, None, None]:
    try:
        with connection.cursor(f"judgements_{uuid4().hex}") as cursor:
            cursor.itersize = _FETCH_ROWS
            cursor.execute(_SELECT, {"client": client_id, "workload": workload_id})
            for row in cursor:
                yield FeedbackRecord._make(row)
    except psycopg2.errors.UndefinedTable:
        raise ConfigError(
            f"the database of connection {CONN_ID!r} has no feedback tables: run "
            "`python -m include.cli.feedback migrate`"
        ) from None
    except psycopg2.OperationalError as error:
        raise FeedbackAway(f"the feedback database went away: {error}") from error

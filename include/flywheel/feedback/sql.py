"""The statements of the repository. Values are always bound; what is put together here is fixed text."""

from __future__ import annotations

from include.flywheel.feedback.models import FeedbackCreate, FeedbackStored, Selection

FIELDS = tuple(FeedbackCreate.model_fields)
STORED = ", ".join(f'"{name}"' for name in FeedbackStored.model_fields)
RECEIPT = 'feedback_id, id, "timestamp", rating, model'

_COLUMNS = (*FIELDS, "idempotency_scope", "idempotency_key", "request_digest")
SUBMIT = (
    f"INSERT INTO feedback ({', '.join(_COLUMNS)}) "  # noqa: S608
    f"VALUES ({', '.join(f'${number}' for number in range(1, len(_COLUMNS) + 1))}) "
    "ON CONFLICT (idempotency_scope, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING "
    f"RETURNING {RECEIPT}"
)
SUBMITTED = (
    f"SELECT {RECEIPT}, request_digest FROM feedback "  # noqa: S608
    "WHERE idempotency_scope = $1 AND idempotency_key = $2"
)
# A caller of one project sees that project's rows only; NULL: all.
_OF_CALLER = "feedback_id = $1 AND ($2::text IS NULL OR project = $2)"
GET = f"SELECT {STORED} FROM feedback WHERE {_OF_CALLER}"  # noqa: S608
DELETE = f"DELETE FROM feedback WHERE {_OF_CALLER} RETURNING feedback_id"  # noqa: S608
METADATA_SIZE = f"SELECT octet_length((metadata || $3)::text) FROM feedback WHERE {_OF_CALLER}"  # noqa: S608


def update(fields: list[str]) -> str:
    """Change those columns, $3 and on; metadata last, merged, no larger than the parameter after it."""
    changes, limit = [], ""
    for number, name in enumerate(fields, start=3):
        if name == "metadata":
            changes.append(f"metadata = metadata || ${number}")
            limit = f" AND octet_length((metadata || ${number})::text) <= ${number + 1}"
        else:
            changes.append(f"{name} = ${number}")
    where = f"{_OF_CALLER}{limit}"
    return f"UPDATE feedback SET {', '.join(changes)} WHERE {where} RETURNING {RECEIPT}"  # noqa: S608


def accuracy(selection: Selection) -> tuple[str, list[str]]:
    """The counters of the groups that are selected, and the values to bind."""
    clauses, values = [], []
    for name, value in selection:
        if value is not None:
            values.append(value)
            clauses.append(f"{name} = ${len(values)}")
    where = f"WHERE {' AND '.join(clauses)} " if clauses else ""
    return f"SELECT * FROM model_accuracy_now {where}ORDER BY model, intent, project", values  # noqa: S608


def stats(selection: Selection) -> tuple[str, list[str]]:
    """One row for each category, and one for each kind of people, of the days since $1 days ago.

    The values to bind follow $1.
    """
    of_group, of_scope, values = [], [], []
    for name, value in selection:
        if value is None:
            of_scope.append(f"{name} IS NULL")
        else:
            values.append(value)
            of_scope.append(f"{name} = ${len(values) + 1}")
            of_group.append(f"{name} = ${len(values) + 1}")
    since = "((now() AT TIME ZONE 'UTC') - make_interval(days => $1))::date"
    groups = (
        f" AND group_id IN (SELECT group_id FROM feedback_groups WHERE {' AND '.join(of_group)})"  # noqa: S608
        if of_group
        else ""
    )
    return (
        "SELECT 'category' AS kind, category AS name, sum(positive)::bigint AS positive, "  # noqa: S608
        "sum(negative)::bigint AS negative, sum(memory_used) AS memory_used "
        f"FROM feedback_daily WHERE day >= {since}{groups} GROUP BY category "
        "UNION ALL SELECT 'people', kind, sum(people)::bigint, 0, 0 FROM feedback_last_days "
        f"WHERE scope_id = (SELECT scope_id FROM feedback_scopes WHERE {' AND '.join(of_scope)}) "
        f"AND day >= {since} GROUP BY kind",
        values,
    )


ERASE = "DELETE FROM feedback WHERE user_id = $1 AND ($2::text IS NULL OR project = $2)"
EXPORTS_OF_USER = (
    "SELECT export_id, kind, path, created_at FROM feedback_exports "
    "JOIN feedback_export_users USING (export_id) "
    "WHERE user_digest = $1 AND ($2::text IS NULL OR coalesce(filters #>> '{filters,project}', $2) = $2) "
    "ORDER BY created_at, export_id"
)
# Oldest first. Rows that somebody else is changing wait for the next time.
OLD = (
    f'SELECT {STORED} FROM feedback WHERE "timestamp" < $1 '  # noqa: S608
    'ORDER BY "timestamp", id LIMIT $2 FOR UPDATE SKIP LOCKED'
)
DELETE_BY_ID = "DELETE FROM feedback WHERE id = ANY($1::bigint[])"
FOLD = "SELECT fold_feedback($1)"
REFRESH = "SELECT refresh_model_accuracy()"
KEY = "SELECT key_id, name, project FROM api_keys WHERE digest = $1 AND revoked_at IS NULL"
PING = "SELECT count(*) FROM schema_migrations"

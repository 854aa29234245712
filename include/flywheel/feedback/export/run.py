"""One export from the database into a folder, noted for whoever is erased later."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, closing
from typing import Any

import orjson

from include.flywheel.datasets.digests import dataset_digest
from include.flywheel.errors import FeedbackError
from include.flywheel.feedback.export.folder import ExportFolder
from include.flywheel.feedback.export.lines import FeedbackRow
from include.flywheel.feedback.export.manifest import Manifest
from include.flywheel.feedback.export.names import ExportName
from include.flywheel.feedback.export.reading import export_rows
from include.flywheel.feedback.export.spec import ExportSpec
from include.flywheel.feedback.export.write import write_export
from include.flywheel.feedback.repository import user_digest

Connect = Callable[[], AbstractContextManager[Any]]
"""Opens a psycopg2 connection; `closing` of it ends it."""

_USERS_AT_ONCE = 1_000
_DATES = ("start", "end")
_TRIES = 3
_USERS = """
SELECT DISTINCT user_id FROM feedback WHERE "timestamp" >= %s AND "timestamp" < %s AND user_id IS NOT NULL
"""


def run_export(
    connect: Connect,
    spec: ExportSpec,
    folder: ExportFolder,
    name: ExportName,
    *,
    progress: Callable[[int], None] | None = None,
) -> Manifest:
    """Export what the table holds now. Memory holds digests only: of the texts that were kept, and of users.

    Before a file appears, `feedback_exports` and `feedback_export_users` name it and whose rows it holds: a
    file that nobody can find again never exists. The same content under the same name is noted once. Where a
    user is erased meanwhile, the export begins again.

    :raises ExportRefused: the name leads out of the folder.
    :raises FeedbackError: users were erased during each of three tries.
    """
    for _ in range(_TRIES):
        try:
            return _export(connect, spec, folder, name, progress)
        except _UserErased:
            continue
    raise FeedbackError("users were erased while their feedback was exported, three times: export it again")


class _UserErased(Exception):
    """The rows of a user that were read are gone."""


def _export(
    connect: Connect,
    spec: ExportSpec,
    folder: ExportFolder,
    name: ExportName,
    progress: Callable[[int], None] | None,
) -> Manifest:
    users: set[bytes] = set()

    def kept(row: FeedbackRow) -> None:
        if row.user_id is not None:
            users.add(user_digest(row.user_id))

    def ready(manifest: Manifest) -> None:
        with connect() as noting, noting:
            said = spec.model_dump(mode="json")
            # At the top, where an erasure looks for the project; the dates have columns of their own.
            filters = {key: value for key, value in said.pop("filters").items() if key not in _DATES}
            note_file(
                noting,
                kind="export",
                path=folder.where(name.manifest),
                digest=dataset_digest(manifest.digests),
                start=spec.filters.start,
                end=spec.filters.end,
                filters=filters | said,
                rows=manifest.counts.kept,
                users=users,
            )
        # Who is erased from here on is told of the file; who was before is seen here.
        with connect() as checking, checking.cursor() as cursor:
            cursor.execute(_USERS, (spec.filters.start, spec.filters.end))
            if users - {user_digest(user) for (user,) in cursor}:
                raise _UserErased

    with connect() as reading:
        reading.set_session(isolation_level="REPEATABLE READ", readonly=True)
        rows = export_rows(reading, spec.filters)
        with closing(rows):
            return write_export(rows, spec, folder, name, kept=kept, ready=ready, progress=progress)


def note_file(
    connection: Any,
    *,
    kind: str,
    path: str,
    digest: str,
    start: Any,
    end: Any,
    filters: dict[str, Any],
    rows: int,
    users: Iterable[bytes],
) -> None:
    """Note a file that holds rows of the table, and whose; the caller commits."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM feedback_exports WHERE path = %s AND digest = %s", (path, digest))
        if cursor.fetchone() is not None:
            return
        cursor.execute(
            "INSERT INTO feedback_exports (kind, path, digest, start_date, end_date, filters, rows) "
            "VALUES (%s, %s, %s, %s, %s, %s::jsonb, %s) RETURNING export_id",
            (kind, path, digest, start, end, orjson.dumps(filters).decode(), rows),
        )
        [export_id] = cursor.fetchone()
        digests = sorted(users)
        for first in range(0, len(digests), _USERS_AT_ONCE):
            cursor.execute(
                "INSERT INTO feedback_export_users (user_digest, export_id) SELECT unnest(%s::bytea[]), %s",
                (digests[first : first + _USERS_AT_ONCE], export_id),
            )

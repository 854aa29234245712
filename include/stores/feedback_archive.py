"""Old feedback on its way from the table into files, which are noted so that erasing a user names them."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from include.flywheel.datasets.digests import HashingWriter, dataset_digest
from include.flywheel.feedback.export.folder import ExportFolder, discarding
from include.flywheel.feedback.export.run import note_file
from include.flywheel.feedback.models import FeedbackStored
from include.flywheel.feedback.repository import user_digest
from include.stores.feedback import FeedbackPlace, connect, open_feedback

_FILE_ROWS = 10_000


@dataclass(frozen=True)
class Archived:
    """How many rows were moved, and the names of their files inside the folder."""

    rows: int
    names: list[str]


def archive_before(place: FeedbackPlace, folder: ExportFolder, before: datetime) -> Archived:
    """Move the rows from before that moment into files of at most 10,000 rows each.

    A row is deleted once its file is safe; killed in between, the next archiving writes it again. Raises
    ConfigError, ExportRefused, OSError, and errors of psycopg2 and asyncpg.
    """
    parts = _Parts(place, folder, before)

    async def move() -> int:
        async with open_feedback(place, least=1, most=2) as repository:
            return await repository.archive_before(before, parts.write, batch_rows=_FILE_ROWS)

    return Archived(asyncio.run(move()), parts.names)


def count_before(place: FeedbackPlace, before: datetime) -> int:
    """How many rows are from before that moment."""
    with closing(connect(place)) as connection, connection.cursor() as cursor:
        cursor.execute('SELECT count(*) FROM feedback WHERE "timestamp" < %s', (before,))
        return int(cursor.fetchone()[0])


class _Parts:
    """The files of one archiving. Each appears whole and is noted before its rows are deleted."""

    def __init__(self, place: FeedbackPlace, folder: ExportFolder, before: datetime) -> None:
        self._place, self._folder = place, folder
        self._stem = f"archive/{before:%Y-%m-%d}-{datetime.now(UTC):%Y%m%dT%H%M%S}"
        self.names: list[str] = []

    async def write(self, rows: list[FeedbackStored]) -> None:
        """Write one file of them."""
        name = f"{self._stem}-{len(self.names) + 1:05}.jsonl"
        writing = self._folder.write(name)
        with discarding(writing):
            writer = HashingWriter(writing.file)
            for row in rows:
                writer.write_line(orjson.dumps(vars(row), default=str))
            writer.close()
            with closing(connect(self._place)) as connection, connection:
                note_file(
                    connection,
                    kind="archive",
                    path=self._folder.where(name),
                    digest=dataset_digest({name: writer.sha256}),
                    start=rows[0].timestamp,
                    end=rows[-1].timestamp,
                    filters={},
                    rows=len(rows),
                    users={user_digest(row.user_id) for row in rows if row.user_id is not None},
                )
            writing.publish()
        self.names.append(name)

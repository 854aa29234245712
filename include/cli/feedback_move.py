"""`feedback load` and `feedback archive`: rows into the table, and old ones out of it into files."""

from __future__ import annotations

import argparse
import asyncio
from contextlib import closing
from datetime import UTC, datetime

import orjson

from include.cli.counting import Counting
from include.cli.feedback_place import place_of
from include.flywheel.datasets.digests import HashingWriter, dataset_digest
from include.flywheel.errors import ConfigError
from include.flywheel.feedback.export.folder import ExportFolder, LocalFolder, discarding
from include.flywheel.feedback.export.run import note_file
from include.flywheel.feedback.load import FeedbackLedger, load_feedback, wanted_traces
from include.flywheel.feedback.lookup import find_traces
from include.flywheel.feedback.models import FeedbackStored
from include.flywheel.feedback.repository import user_digest
from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.lines import LineSource
from include.flywheel.logs.store import LogStore
from include.flywheel.report.text import align
from include.stores.feedback import FeedbackPlace, connect, open_feedback
from include.stores.feedback_exports import open_export_folder

_PART_ROWS = 10_000


def load(options: argparse.Namespace) -> int:
    """Load a file and print what became of every line; exit code 1 where none could be stored."""
    place, found = place_of(options), {}
    if options.client is not None:
        if str(options.file) == "-":
            raise ConfigError(
                "lines of the standard input cannot be looked up: they are read once; name a file"
            )
        wanted = wanted_traces(LineSource(options.file))
        found = find_traces(_logs(options), options.client, options.workload, wanted) if wanted else {}
    source = LineSource(options.file)
    with (
        Counting(source.name, "lines", share=lambda: source.share) as progress,
        closing(connect(place)) as connection,
    ):
        ledger = load_feedback(connection, source, found, source=source.name, progress=progress)
    for line in _ledger_lines(ledger):
        print(line)
    return 0 if ledger.stored + ledger.already_stored or not ledger.read else 1


def _logs(options: argparse.Namespace) -> LogStore:
    if options.root is not None:
        return FileLogStore(options.root)
    from include.stores.logs import open_logs  # noqa: PLC0415 - Airflow takes seconds to load

    return open_logs(options.conn or "flywheel_logs")


def _ledger_lines(ledger: FeedbackLedger) -> list[str]:
    rows = [
        ("lines read", ledger.read, ""),
        ("  stored", ledger.stored, ""),
        ("  stored already", ledger.already_stored, ""),
        ("  rejected", ledger.rejected_count, ""),
        *((f"    {reason}", one.count, f"e.g. {one.example}") for reason, one in ledger.rejected.items()),
    ]
    return align([[name, f"{count:>9,}", note] for name, count, note in rows])


def archive(options: argparse.Namespace) -> int:
    """Move the rows into files of at most 10,000 rows each; a row is deleted when its file is safe."""
    place = place_of(options)
    folder = LocalFolder(options.to) if options.to is not None else open_export_folder()
    parts = _Parts(place, folder, options.before)

    async def move() -> int:
        async with open_feedback(place, least=1, most=2) as repository:
            return await repository.archive_before(options.before, parts.write, batch_rows=_PART_ROWS)

    moved = asyncio.run(move())
    for name in parts.names:
        print(folder.where(name))
    print(f"{moved:,} rows from before {options.before.isoformat()} archived in {len(parts.names)} files")
    return 0


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

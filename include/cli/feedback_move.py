"""`feedback load` and `feedback archive`: rows into the table, and old ones out of it into files."""

from __future__ import annotations

import argparse
from contextlib import closing

from include.cli.counting import Counting
from include.cli.feedback_place import place_of
from include.flywheel.errors import ConfigError
from include.flywheel.feedback.export.folder import LocalFolder
from include.flywheel.feedback.load import FeedbackLedger, load_feedback, wanted_traces
from include.flywheel.feedback.lookup import find_traces
from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.lines import LineSource
from include.flywheel.logs.store import LogStore
from include.flywheel.report.text import align
from include.stores.feedback import connect
from include.stores.feedback_archive import archive_before
from include.stores.feedback_exports import open_export_folder


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
    folder = LocalFolder(options.to) if options.to is not None else open_export_folder()
    moved = archive_before(place_of(options), folder, options.before)
    for name in moved.names:
        print(folder.where(name))
    before = options.before.isoformat()
    print(f"{moved.rows:,} rows from before {before} archived in {len(moved.names)} files")
    return 0

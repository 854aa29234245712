"""Commands for log records: `python -m include.cli.logs load FILE… --client C --workload W --root DIR`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from include.flywheel.datasets.ledger import ledger_lines
from include.flywheel.errors import DataError
from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.lines import read_lines
from include.flywheel.logs.load import LoadInterrupted, LoadLedger, load
from include.flywheel.logs.store import LogStore


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: loaded; 1: a file could not be loaded, stderr says why; 2: wrong usage."""
    options = _parser().parse_args(arguments)
    store = FileLogStore(options.root)
    return max(_load_file(path, store, options.client, options.workload) for path in options.files)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.cli.logs", description="Log records")
    command = parser.add_subparsers(dest="command", required=True).add_parser(
        "load",
        help="load files of log records into the log store",
        description="Loads JSONL files (plain or .gz). Lines of the client and workload are stored, and "
        "lines that name none are stored as theirs. Safe to repeat: the same record is stored once.",
    )
    command.add_argument("files", nargs="+", type=Path, metavar="FILE")
    command.add_argument("--client", required=True, type=_name, help="client_id")
    command.add_argument("--workload", required=True, type=_name, help="workload_id")
    command.add_argument("--root", required=True, type=Path, help="folder of the file log store")
    return parser


def _name(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    return text


def _load_file(path: Path, store: LogStore, client_id: str, workload_id: str) -> int:
    progress = _Progress(path.name)
    try:
        ledger = load(read_lines(path), store, client_id, workload_id, source=path.name, progress=progress)
    except LoadInterrupted as interrupted:
        progress.end()
        _print_ledger(path, interrupted.ledger)
        return _fail(str(interrupted))
    except DataError as error:
        progress.end()
        return _fail(str(error))
    progress.end()
    _print_ledger(path, ledger)
    if ledger.stored + ledger.already_stored == 0:
        return _fail(
            f"{path}: no line could be stored for client {client_id!r}, workload {workload_id!r}; "
            "the reasons stand above, check --client and --workload"
        )
    return 0


def _print_ledger(path: Path, ledger: LoadLedger) -> None:
    print(f"{path} → client {ledger.client_id}, workload {ledger.workload_id}")
    for line in ledger_lines(ledger):
        print(f"  {line}")


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 1


class _Progress:
    """One line on a terminal that counts; silent elsewhere."""

    def __init__(self, name: str, write: Callable[[str], object] | None = None) -> None:
        self._name = name
        self._write = write or sys.stderr.write
        self._shows = sys.stderr.isatty()

    def __call__(self, lines_read: int) -> None:
        if self._shows:
            self._write(f"\r{self._name}: {lines_read:,} lines read")
            sys.stderr.flush()

    def end(self) -> None:
        if self._shows:
            self._write("\r\x1b[K")


if __name__ == "__main__":
    sys.exit(main())

"""`logs load`: files into the log store, with their ledgers and progress."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import reduce
from operator import add
from pathlib import Path

from include.cli.counting import Counting
from include.flywheel.datasets.ledger import ledger_lines
from include.flywheel.errors import DataError
from include.flywheel.logs.lines import LineSource
from include.flywheel.logs.load import LoadInterrupted, LoadLedger, load
from include.flywheel.logs.store import LogStore


def load_files(
    paths: Sequence[Path], store: LogStore, client_id: str, workload_id: str, *, strict: bool
) -> int:
    """Load every file and print what became of its lines; a file that fails does not keep out the others.

    Exit code 1 when a file could not be loaded, held no line of the workload, or (`strict`) had a line that
    was rejected.
    """
    code = 0
    ledgers: list[LoadLedger] = []
    for path in paths:
        with _fewer_collections():
            ledger, error = _load(LineSource(path), store, client_id, workload_id)
        if ledger is not None:
            ledgers.append(ledger)
            _print_ledger(str(path), ledger)
        if error is None and ledger is not None and ledger.stored + ledger.already_stored == 0:
            error = (
                f"{path}: no line could be stored for client {client_id!r}, workload {workload_id!r}; "
                "the reasons stand above, check --client and --workload"
            )
        if error is None and ledger is not None and strict and ledger.rejected_count:
            error = f"{path}: {ledger.rejected_count} lines were rejected (--strict); the reasons stand above"
        if error is not None:
            sys.stderr.write(f"error: {error}\n")
            code = 1
    if len(ledgers) > 1:
        _print_ledger(f"{len(ledgers)} files", reduce(add, ledgers))
    return code


def _load(
    source: LineSource, store: LogStore, client_id: str, workload_id: str
) -> tuple[LoadLedger | None, str | None]:
    """The ledger as far as there is one, and what went wrong."""
    with Counting(source.name, "lines", share=lambda: source.share) as progress:
        try:
            return load(source, store, client_id, workload_id, source=source.name, progress=progress), None
        except LoadInterrupted as interrupted:
            return interrupted.ledger, str(interrupted)
        except DataError as error:
            return None, str(error)


def _print_ledger(name: str, ledger: LoadLedger) -> None:
    print(f"{name} → client {ledger.client_id}, workload {ledger.workload_id}")
    for line in ledger_lines(ledger):
        print(f"  {line}")


@contextmanager
def _fewer_collections() -> Iterator[None]:
    """Decoded records are trees without cycles: looking for cycles in them takes a third of the time."""
    thresholds = gc.get_threshold()
    gc.set_threshold(1_000_000, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)

"""Commands for log records: `python -m include.cli.logs load|stats|close|template`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import orjson

from include.cli.log_load import load_files
from include.cli.log_tables import size, statistics_table
from include.flywheel.errors import ConfigError, FlywheelError
from include.flywheel.logs.closing import close_days
from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.store import LogStore

DEFAULT_CONNECTION = "flywheel_logs"
_TO_READ = "the folder or the connection of the log store; without either, connection flywheel_logs"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: done; 1: it could not be done, stderr says why; 2: wrong usage; 130: interrupted."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except FlywheelError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; what is stored is not stored twice: run it again\n")
        return 130
    return code


def _load(options: argparse.Namespace) -> int:
    store = _open(options)
    return load_files(options.files, store, options.client, options.workload, strict=options.strict)


def _stats(options: argparse.Namespace) -> int:
    store = _open(options, must_exist=True)
    statistics = store.statistics(options.client, options.workload)
    print(f"{statistics.where} (days are UTC)")
    for line in statistics_table(statistics.days):
        print(line)
    for note in statistics.notes:
        print(note)
    return 0


def _close(options: argparse.Namespace) -> int:
    store = _open(options, must_exist=True)
    if not isinstance(store, FileLogStore):
        raise ConfigError(
            f"{store!r} has no files to close; a lifecycle policy of Elasticsearch rolls indices over"
        )
    today = datetime.now(tz=UTC).strftime("%Y-%m-%d")
    closed = 0
    for file in close_days(store.root, before=options.before or today, today=today):
        print(f"{file.path}: {size(file.open_bytes)} → {size(file.closed_bytes)}")
        closed += 1
    print(f"{closed} files closed")
    return 0


def _template(options: argparse.Namespace) -> int:
    # The client library takes a second to load, which the other commands need not wait for.
    from include.flywheel.logs.elastic.store import ElasticLogStore  # noqa: PLC0415
    from include.flywheel.logs.elastic.template import index_template  # noqa: PLC0415

    if not options.apply:
        template = index_template(options.index, data_stream=options.data_stream)
        print(orjson.dumps(template, option=orjson.OPT_INDENT_2).decode())
        return 0
    store = _open(options)
    if not isinstance(store, ElasticLogStore):
        raise ConfigError(
            f"{store!r} needs no index template; --conn names a connection of type `elasticsearch`"
        )
    name = store.install_template(data_stream=options.data_stream)
    print(f"index template {name!r} is installed; it maps what is made from now on")
    return 0


def _open(options: argparse.Namespace, *, must_exist: bool = False) -> LogStore:
    """The store of `--root`, `--conn`, or the default connection. Raises ConfigError."""
    root: Path | None = getattr(options, "root", None)
    if root is not None:
        if must_exist and not root.is_dir():
            raise ConfigError(f"--root {str(root)!r} is not a folder")
        return FileLogStore(root)
    # Airflow reads its environment when it is imported, and takes seconds for it.
    from include.stores import connections  # noqa: PLC0415
    from include.stores.logs import open_logs  # noqa: PLC0415

    if options.conn is None and connections.find(DEFAULT_CONNECTION) is None:
        raise ConfigError(
            f"where? say --root DIR or --conn ID; connection {DEFAULT_CONNECTION!r} is not configured (it "
            f"would be in AIRFLOW_CONN_{DEFAULT_CONNECTION.upper()})"
        )
    return open_logs(options.conn or DEFAULT_CONNECTION)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.cli.logs", description="Log records")
    commands = parser.add_subparsers(dest="command", required=True)

    load = commands.add_parser(
        "load",
        help="load files of log records into the log store",
        description="Loads JSONL files (plain or .gz). Lines of the client and workload are stored, and "
        "lines that name none are stored as theirs. Safe to repeat: the same record is stored once.",
    )
    load.add_argument("files", nargs="+", type=Path, metavar="FILE", help="`-` is the standard input")
    load.add_argument("--client", required=True, type=_name, help="client_id")
    load.add_argument("--workload", required=True, type=_name, help="workload_id")
    load.add_argument("--strict", action="store_true", help="exit 1 when any line was rejected")
    _add_store(load)
    load.set_defaults(run=_load)

    stats = commands.add_parser("stats", help="traffic by day: records, errors, latency, tokens, models")
    stats.add_argument("--client", type=_name, help="only this client_id")
    stats.add_argument("--workload", type=_name, help="only this workload_id")
    _add_store(stats)
    stats.set_defaults(run=_stats)

    close = commands.add_parser("close", help="compress the files of past days; safe to repeat")
    close.add_argument(
        "--before", metavar="DAY", help="days before this one, YYYY-MM-DD; default: today (UTC)"
    )
    _add_store(close)
    close.set_defaults(run=_close)

    template = commands.add_parser("template", help="print or install the index template of Elasticsearch")
    template.add_argument("--index", default="flywheel", help="index or pattern in what is printed")
    template.add_argument("--data-stream", action="store_true", help="writes make a data stream")
    template.add_argument("--apply", action="store_true", help="install it for the index of the connection")
    template.add_argument("--conn", metavar="ID", help=f"connection; default {DEFAULT_CONNECTION}")
    template.set_defaults(run=_template)
    return parser


def _add_store(parser: argparse.ArgumentParser) -> None:
    where = parser.add_argument_group("log store", _TO_READ).add_mutually_exclusive_group()
    where.add_argument("--root", type=Path, metavar="DIR", help="folder of a file log store")
    where.add_argument("--conn", metavar="ID", help="Airflow connection, also as AIRFLOW_CONN_…")


def _name(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("must not be empty")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise argparse.ArgumentTypeError("must be UTF-8") from None
    return text


if __name__ == "__main__":
    sys.exit(main())

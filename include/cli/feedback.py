"""Commands for feedback: `python -m include.cli.feedback migrate|load|export|refresh|dashboard|keys|…`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import asyncpg
import psycopg2

from include.cli.feedback_dashboard import dashboard
from include.cli.feedback_export import add_export, export
from include.cli.feedback_keys import add_keys
from include.cli.feedback_move import archive, load
from include.cli.feedback_place import add_database, place_of, utc_time
from include.flywheel.errors import FlywheelError
from include.stores.feedback import connect, migrate

Body = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: done; 1: not done, stderr says why; 2: wrong usage; 130: interrupted."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
    except (FlywheelError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (psycopg2.errors.UndefinedTable, asyncpg.UndefinedTableError):
        print("error: the database has no feedback tables: run `migrate` first", file=sys.stderr)
        return 1
    except (psycopg2.Error, asyncpg.PostgresError) as error:
        print(f"error: the feedback database: {str(error).strip()}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    return code


def _migrate(options: argparse.Namespace) -> int:
    done = migrate(place_of(options), applied=lambda name: print(f"applied {name}"))
    print(f"{len(done)} migrations applied" if done else "the schema is up to date")
    return 0


def _refresh(options: argparse.Namespace) -> int:
    with closing(connect(place_of(options))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT refresh_model_accuracy()")
            cursor.execute("SELECT count(*), coalesce(sum(total_feedback), 0) FROM model_accuracy_by_intent")
            [groups, rows] = cursor.fetchone()
    print(f"model_accuracy_by_intent is fresh: {groups:,} groups of {rows:,} rows")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.cli.feedback", description="Users' feedback")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, body: Body, words: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=words, description=words)
        added.set_defaults(run=body)
        add_database(added)
        return added

    command("migrate", _migrate, "bring the tables to this version's schema; safe to repeat")
    add_export(command("export", export, "write feedback as training files"))
    command("refresh", _refresh, "refresh the accuracy view by hand")
    _add_load(command("load", load, "load lines of feedback; safe to repeat"))
    shown = command("dashboard", dashboard, "what users think, redrawn now and then")
    shown.add_argument("--interval", type=_seconds, default=5.0, metavar="SECONDS", help="between frames (5)")
    shown.add_argument("--once", action="store_true", help="one frame, then end")
    add_keys(commands)
    old = command("archive", archive, "move old rows from the table into files")
    old.add_argument("--before", type=utc_time, required=True, metavar="DATE", help="rows before this (UTC)")
    old.add_argument("--to", type=Path, metavar="DIR", help="default: FLYWHEEL_EXPORT_ROOT")
    return parser


def _add_load(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="JSONL, plain or .gz; `-`: standard input")
    logs = parser.add_argument_group("logs", "where lines without query and response are looked up by trace")
    logs.add_argument("--client", metavar="ID", help="client_id of the log records")
    logs.add_argument("--workload", metavar="ID", help="only this workload; default: all of the client's")
    logs.add_argument("--root", type=Path, metavar="DIR", help="folder of a file log store")
    logs.add_argument("--conn", metavar="ID", help="connection of the log store (flywheel_logs)")


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.1 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not from 0.1 to 3600")
    return value


if __name__ == "__main__":
    sys.exit(main())

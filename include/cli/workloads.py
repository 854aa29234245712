"""Commands for workloads: `python -m include.cli.workloads list|suggest [CLIENT WORKLOAD]`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pymongo.errors import PyMongoError

from include.cli.counting import Counting
from include.cli.workload_tables import workload_lines
from include.flywheel.config.suggest import Suggestion, suggest, write
from include.flywheel.config.workload import DIRECTORY, DIRECTORY_VARIABLE, Workload, load_workloads
from include.flywheel.errors import ConfigError, FlywheelError
from include.flywheel.logs.traffic import TrafficCount, count_traffic
from include.flywheel.runs.workload_rows import WorkloadRow, workload_rows
from include.stores.logs import open_logs
from include.stores.runs import CONN_ID, open_runs
from include.stores.traffic import DEFAULT_CONN_ID


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: done; 1: not done, or not all of it, stderr says why; 2: wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run_command(options)
    except FlywheelError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except PyMongoError as error:
        remedy = f"is MongoDB up, and is connection {CONN_ID} right?"
        print(f"error: the run documents cannot be reached: {str(error)[:200]}; {remedy}", file=sys.stderr)
        return 1
    return code


def _list(options: argparse.Namespace) -> int:
    configured = load_workloads()
    counts = {conn_id: _count(conn_id) for conn_id in _connections(configured)}
    rows = workload_rows(configured, counts, open_runs(), lambda dag_ids: dag_ids)
    print(_json(rows) if options.json else "\n".join(workload_lines(rows)))
    notes = [count.note for count in counts.values() if count.note]
    print("".join(f"{note}\n" for note in notes), end="", file=sys.stderr)
    return 1 if notes else 0


def _suggest(options: argparse.Namespace) -> int:
    wanted = [(options.client, options.workload)] if options.client else _found(options.conn)
    if not wanted:
        print("every workload of the logs is configured", file=sys.stderr)
    for client_id, workload_id in wanted:
        _refuse_configured(client_id, workload_id)
        suggestion = _suggestion(options, client_id, workload_id)
        if options.write:
            print(write(suggestion, Path(os.environ.get(DIRECTORY_VARIABLE) or DIRECTORY)))
        else:
            sys.stdout.write(f"# {suggestion.file_name}\n{suggestion.text()}\n")
    return 0


def _suggestion(options: argparse.Namespace, client_id: str, workload_id: str) -> Suggestion:
    store = open_logs(options.conn)
    with tempfile.TemporaryDirectory() as scratch, Counting("reading", "records") as progress:
        return suggest(
            store,
            client_id,
            workload_id,
            Path(scratch),
            logs_conn_id=options.conn,
            profile=options.profile,
            progress=progress,
        )


def _found(conn_id: str) -> list[tuple[str, str]]:
    """Client and workload of what the logs hold and nobody has configured."""
    configured = {(one.client_id, one.workload_id) for one in load_workloads()}
    held = [(one.client_id, one.workload_id) for one in count_traffic(open_logs(conn_id))]
    return [one for one in held if one not in configured]


def _refuse_configured(client_id: str, workload_id: str) -> None:
    for one in load_workloads():
        if (one.client_id, one.workload_id) == (client_id, workload_id):
            raise ConfigError(f"{client_id} / {workload_id} is configured already: its DAG is {one.dag_id}")


def _connections(configured: Sequence[Workload]) -> list[str]:
    return sorted({DEFAULT_CONN_ID, *(one.logs_conn_id for one in configured)})


def _count(conn_id: str) -> TrafficCount:
    try:
        return TrafficCount(traffic=count_traffic(open_logs(conn_id)))
    except FlywheelError as error:
        return TrafficCount(note=f"the records of {conn_id!r} cannot be counted: {error}")


def _json(rows: Sequence[WorkloadRow]) -> str:
    return json.dumps([row.model_dump(mode="json") for row in rows], indent=2)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.cli.workloads", description="Workloads")
    commands = parser.add_subparsers(dest="command", required=True)

    listed = commands.add_parser("list", help="configured ones and those found in the logs, with traffic")
    listed.add_argument("--json", action="store_true")
    listed.set_defaults(run_command=_list)

    suggested = commands.add_parser(
        "suggest",
        help="the YAML of a workload that the logs hold and nobody has configured",
        description="Looks at a sample of the newest records. Without CLIENT and WORKLOAD: all that are not "
        "configured. What is written makes a DAG by itself; a person then describes it.",
    )
    suggested.add_argument("client", nargs="?", metavar="CLIENT")
    suggested.add_argument("workload", nargs="?", metavar="WORKLOAD")
    suggested.add_argument(
        "--write", action="store_true", help="into the folder of workloads; never over one"
    )
    suggested.add_argument("--profile", metavar="NAME", help="default: by the traffic, for the stand-in")
    suggested.add_argument(
        "--conn", metavar="ID", default=DEFAULT_CONN_ID, help=f"log store; default {DEFAULT_CONN_ID}"
    )
    suggested.set_defaults(run_command=_suggest)
    return _Checked(parser)  # type: ignore[return-value]


class _Checked:
    """The parser, and the rule between its arguments."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._parser = parser

    def parse_args(self, arguments: Sequence[str] | None) -> argparse.Namespace:
        """Exits with 2 for a client without a workload."""
        options = self._parser.parse_args(arguments)
        if options.command == "suggest" and options.client and not options.workload:
            self._parser.error("CLIENT needs a WORKLOAD: which of the client's?")
        return options


if __name__ == "__main__":
    sys.exit(main())

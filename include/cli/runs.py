"""Commands for runs: `python -m include.cli.runs show|list|watch|cancel|retry|delete|leases`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from io import TextIOWrapper

from pymongo.errors import PyMongoError
from rich.console import Console

from include.cli import runs_act
from include.cli.runs_find import find_run
from include.cli.runs_show import show_lines
from include.cli.runs_tables import lease_lines, run_lines, run_rows
from include.flywheel.errors import FlywheelError
from include.flywheel.runs.documents import now
from include.flywheel.runs.states import RunStatus
from include.stores.airflow_api import find_airflow_api, open_airflow_api
from include.stores.leases import open_leases
from include.stores.runs import CONN_ID, open_runs

_RUN = "a job id or its beginning, the id of a DAG run, or `latest`"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: done, for `watch` also completed; 1: not done, stderr says why; 2: wrong usage;
    130: interrupted.
    """
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
    except KeyboardInterrupt:
        print("\ninterrupted; the run itself goes on", file=sys.stderr)
        return 130
    return code


def _show(options: argparse.Namespace) -> int:
    runs = open_runs()
    run = find_run(runs, options.run)
    nims = runs.nims(run.job_id)
    if options.json:
        documents = {
            "run": run.model_dump(mode="json"),
            "nims": [nim.model_dump(mode="json") for nim in nims],
        }
        print(json.dumps(documents, indent=2))
        return 0
    unicode = not options.ascii and "utf" in (sys.stdout.encoding or "").lower()
    if isinstance(sys.stdout, TextIOWrapper):
        # What people and services said may hold characters that this terminal does not know.
        sys.stdout.reconfigure(errors="replace")
    for line in show_lines(run, nims, now(), Console().width, unicode=unicode):
        print(line)
    return 0


def _list(options: argparse.Namespace) -> int:
    found = open_runs().recent(
        client_id=options.client, workload_id=options.workload, status=options.status, limit=options.limit
    )
    print(json.dumps(run_rows(found), indent=2) if options.json else "\n".join(run_lines(found)))
    return 0


def _watch(options: argparse.Namespace) -> int:
    runs = open_runs()
    run = find_run(runs, options.run)
    console = Console(highlight=False, soft_wrap=True)
    with find_airflow_api() or nullcontext() as api:
        return 0 if runs_act.watch(runs, run, console, api) else 1


def _cancel(options: argparse.Namespace) -> int:
    runs = open_runs()
    run = find_run(runs, options.run)
    with open_airflow_api() as api:
        down = runs_act.cancel(runs, run, api, wait_seconds=options.wait, say=print)
    return 0 if down else 1


def _retry(options: argparse.Namespace) -> int:
    runs = open_runs()
    run = find_run(runs, options.run)
    with open_airflow_api() as api:
        runs_act.retry(runs, run, api, only=options.nim, say=print)
    return 0


def _delete(options: argparse.Namespace) -> int:
    run = find_run(open_runs(), options.run)
    with find_airflow_api() or nullcontext() as api:
        done = runs_act.delete(run, api, wait_seconds=options.wait, say=print)
    return 0 if done else 1


def _leases(_: argparse.Namespace) -> int:
    runs, leases = open_runs(), open_leases()

    def whose(job_id: str) -> str:
        run = runs.find(job_id)
        named = "no document" if run is None else f"{run.client_id} / {run.workload_id}"
        return f"{job_id} ({named})"

    print("\n".join(lease_lines(leases.held(), leases.waiting(), whose, now())))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.cli.runs", description="Runs of the flywheel")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, body: Callable[[argparse.Namespace], int], words: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=words, description=words)
        added.set_defaults(run_command=body)
        return added

    def of_run(name: str, body: Callable[[argparse.Namespace], int], words: str) -> argparse.ArgumentParser:
        added = command(name, body, words)
        added.add_argument("run", metavar="RUN", help=_RUN)
        return added

    show = of_run("show", _show, "the way of the data, the timeline, scores, verdicts and events of a run")
    show.add_argument("--json", action="store_true", help="the documents as they are stored")
    show.add_argument("--ascii", action="store_true", help="no block characters in the timeline")
    listed = command("list", _list, "runs, newest first")
    listed.add_argument("--client", help="client_id")
    listed.add_argument("--workload", help="workload_id")
    listed.add_argument("--status", type=RunStatus, metavar="|".join(RunStatus), help="how far they are")
    listed.add_argument("--limit", type=_count, default=20, metavar="N", help="at most so many (20)")
    listed.add_argument("--json", action="store_true", help="as JSON")
    of_run("watch", _watch, "follow a run to its end; exit code 0 when it completed, else 1")
    cancel = of_run("cancel", _cancel, "end a run and all that it runs remotely")
    cancel.add_argument(
        "--wait", type=float, default=600.0, metavar="SECONDS", help="until all is down (600); 0: do not wait"
    )
    again = of_run("retry", _retry, "go on with a run that did not end well, reusing what is done")
    again.add_argument("--nim", metavar="NAME", help="this NIM alone, by its name or slug")
    delete = of_run("delete", _delete, "remove a run that is over, and all that it made in NeMo")
    delete.add_argument(
        "--wait", type=float, default=600.0, metavar="SECONDS", help="nothing more is begun after them (600)"
    )
    command("leases", _leases, "which runs hold GPUs, and which wait for them")
    return parser


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


if __name__ == "__main__":
    sys.exit(main())

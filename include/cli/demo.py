"""`scripts/demo`: one whole turn of the wheel on this machine, from logs to a decision."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console

from include.cli.demo_profile import StandIn, stand_in_for
from include.cli.outcome import show_outcome
from include.cli.progress import Progress
from include.flywheel.config.workload import load_workloads
from include.flywheel.datasets.ledger import ledger_lines
from include.flywheel.errors import FlywheelError
from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.lines import read_lines
from include.flywheel.logs.load import LoadLedger, load
from include.flywheel.runs import ids
from include.local_stack import airflow_config, samples, settings
from include.local_stack.airflow_api import AirflowApi
from include.local_stack.errors import StackError
from include.local_stack.layout import PROJECT_ROOT, Layout, Ports
from include.local_stack.stack import Stack
from include.local_stack.traffic.errors import TrafficError

SAMPLE_WORKLOAD = "support_agent"
_ON_DEMAND = "flywheel_on_demand"


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: the run completed; 1: it did not, or the stack did not start; 130: interrupted."""
    options = _parser().parse_args(arguments)
    console = Console(highlight=False, soft_wrap=True)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        return _Demo(options, console).run()
    except (StackError, FlywheelError, TrafficError) as error:
        console.print(f"error: {error}", style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("stopped; nothing is left running")
        return 130


def _interrupt(*_: Any) -> NoReturn:
    raise KeyboardInterrupt


class _Demo:
    """The steps, in order."""

    def __init__(self, options: argparse.Namespace, console: Console) -> None:
        self._options = options
        self._console = console
        self._layout = Layout(options.state)
        ports = Ports.free() if options.free_ports else Ports(airflow=options.port)
        profiles = self._layout.state / "profiles"
        like = stand_in_for(options.profile, profiles) if options.profile else StandIn()
        self._stack = Stack(self._layout, ports, like.environment, like.nemo_options)
        self._ledgers: list[LoadLedger] = []

    def run(self) -> int:
        started = time.monotonic()
        if self._options.logs:
            # A file that cannot be read is said before anything starts.
            self._load(self._options.client, self._options.workload, self._options.logs)
        with self._stack:
            self._say("starting PostgreSQL, the MongoDB-wire server, the NeMo stand-in and the application")
            self._stack.start_services()
            self._say("starting Airflow; loading logs")
            with ThreadPoolExecutor(max_workers=1) as pool:
                airflow = pool.submit(self._stack.start_airflow)
                if not self._options.logs:
                    self._load_samples()
                airflow.result()
            password = airflow_config.passwords(self._layout)["admin"]
            with AirflowApi(self._stack.airflow_url, "admin", password) as api:
                completed = self._turn(api)
            self._say(f"done after {time.monotonic() - started:.0f} s")
            self._say_where(password)
            if not self._options.exit:
                self._wait()
        return 0 if completed else 1

    def _load_samples(self) -> None:
        chat_url = f"{self._stack.nemo_url}/nim"
        files = samples.write(self._layout.state / "samples", seed=self._options.seed, chat_url=chat_url)
        for workload, path in files.items():
            self._load(samples.CLIENT, workload, path)

    def _load(self, client: str, workload: str, path: Path) -> None:
        self._layout.create()
        store = FileLogStore(self._layout.log_store)
        self._ledgers.append(load(read_lines(path), store, client, workload, source=path.name))

    def _turn(self, api: AirflowApi) -> bool:
        dag_id, conf = self._dag_and_conf()
        run_id = f"demo-{datetime.now(UTC):%Y%m%dT%H%M%S}"
        for one in {dag_id, _ON_DEMAND, *(workload.dag_id for workload in load_workloads())}:
            api.wait_for_dag(one)
            api.unpause(one)
        api.start(dag_id, run_id, conf)
        self._say(f"triggered {dag_id}, run {run_id}")
        runs = self._open_runs()
        job_id = ids.job_id(dag_id, run_id)

        def is_over() -> bool:
            self._stack.check()
            return api.run_state(dag_id, run_id) in {"success", "failed"}

        Progress(runs, job_id, self._console).follow(is_over)
        for ledger in self._ledgers:
            self._console.print(f"\nLoaded for {ledger.client_id} / {ledger.workload_id}", style="bold")
            for line in ledger_lines(ledger):
                self._console.print(f"  {line}", markup=False)
        return show_outcome(runs, job_id, self._stack.events_file, self._console)

    def _dag_and_conf(self) -> tuple[str, dict[str, Any]]:
        client = self._options.client or samples.CLIENT
        workload = self._options.workload or SAMPLE_WORKLOAD
        conf: dict[str, Any] = {"client_id": client, "workload_id": workload}
        if self._options.min_quality is not None:
            conf["min_quality"] = self._options.min_quality
        if self._options.profile is not None:
            conf["config_name"] = self._options.profile
        if not self._options.logs:
            # The seed of the sample logs is also that of the split.
            conf["data_split_config"] = {"random_seed": self._options.seed}
        configured = {(one.client_id, one.workload_id): one.dag_id for one in load_workloads()}
        return configured.get((client, workload), _ON_DEMAND), conf

    def _open_runs(self) -> Any:
        """The run repository, through the same connection that Airflow's tasks use."""
        os.environ["AIRFLOW_HOME"] = str(self._layout.airflow_home)
        os.environ.update(settings.as_environment(self._stack.settings))
        from include.stores.runs import open_runs  # noqa: PLC0415 - Airflow reads its environment when imported

        return open_runs()

    def _say(self, text: str) -> None:
        self._console.print(f"{datetime.now().astimezone():%H:%M:%S} {text}", markup=False)

    def _say_where(self, password: str) -> None:
        self._console.print("\nAirflow UI", style="bold")
        self._console.print(f"  {self._stack.airflow_url}   user admin, password {password}", markup=False)
        self._console.print(
            f"  NeMo stand-in: {self._stack.nemo_url}   logs: {self._layout.logs}", markup=False
        )
        if not self._options.exit:
            self._say_connections(password)

    def _say_connections(self, password: str) -> None:
        """Lines to copy into another terminal, for the commands that look at runs."""
        api = {"conn_type": "http", "host": self._stack.airflow_url, "login": "admin", "password": password}
        runs = settings.as_environment(self._stack.settings)["AIRFLOW_CONN_FLYWHEEL_RUNS"]
        self._console.print("\nIn another terminal", style="bold")
        for line in (
            f"export AIRFLOW_CONN_FLYWHEEL_RUNS='{runs}'",
            f"export AIRFLOW_CONN_AIRFLOW_API='{json.dumps(api)}'",
            ".venv/bin/python -m include.cli.runs show latest",
        ):
            self._console.print(f"  {line}", markup=False, soft_wrap=True)

    def _wait(self) -> None:
        self._say("everything stays up until Ctrl-C")
        while True:
            self._stack.check()
            time.sleep(1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--exit", action="store_true", help="end everything when the run is over")
    parser.add_argument(
        "--logs", type=_file, metavar="FILE", help="turn the wheel on these logs (.jsonl or .jsonl.gz)"
    )
    parser.add_argument("--client", help="client_id of the logs")
    parser.add_argument("--workload", help="workload_id of the logs")
    parser.add_argument(
        "--min-quality", type=_share, metavar="Q", help="lowest score that the product accepts, 0 to 1"
    )
    parser.add_argument("--profile", help="profile of the run instead of the workload's own")
    parser.add_argument("--seed", type=int, default=7, help="seed of the sample logs and of the split")
    parser.add_argument("--port", type=int, default=Ports().airflow, help="port of the Airflow UI")
    parser.add_argument("--free-ports", action="store_true", help="use any free ports")
    parser.add_argument(
        "--state", type=Path, default=PROJECT_ROOT / ".local", help="folder of everything it keeps"
    )
    return _Checked(parser)  # type: ignore[return-value]


class _Checked:
    """The parser, and the rule between its options."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._parser = parser

    def parse_args(self, arguments: Sequence[str] | None) -> argparse.Namespace:
        """Exits with 2 and the reason for a combination that makes no sense."""
        options = self._parser.parse_args(arguments)
        if options.logs and not (options.client and options.workload):
            self._parser.error("--logs needs --client and --workload: whose logs are they?")
        return options


def _file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"{text!r} is not a file")
    return path


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


if __name__ == "__main__":
    sys.exit(main())

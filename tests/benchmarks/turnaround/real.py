"""Runs as they are: a whole stack, the stand-in's jobs as long as the instance says (1 : 60), measured.

`python tests/benchmarks/turnaround/real.py [--nims 1 3 5 …] [--gpus 2 4 …] [--seconds 1]`. A stack of its own
is started and ended. With `--seconds` every job takes that long, in place of the published durations.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml
from gaps import longest_idle_seconds
from instances import Nim, instance
from optimal import best_list_schedule, bound, optimal
from pymongo import MongoClient

from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.lines import read_lines
from include.flywheel.logs.load import load
from include.flywheel.runs import ids
from include.flywheel.runs.repository import RunRepository
from include.local_stack import airflow_config, samples
from include.local_stack.airflow_api import AirflowApi
from include.local_stack.layout import Layout, Ports
from include.local_stack.stack import Stack
from include.pipeline.factory import flywheel_dag

_SERVICES = (
    *("airflow_scheduler", "airflow_triggerer", "airflow_api-server", "airflow_dag-processor"),
    *("nemo_local", "mongo"),
)
_DAG = "flywheel_on_demand"
_HEAD = "| NIMs | GPUs | needs | run s | best s | allowed s | most GPUs | idle s | processes | CPU s |"
_MOST_NIMS = 20
_SEARCHED_NIMS = 5
_SECONDS_A_TASK = 1.5
_LEEWAY = 1.10


@dataclass(frozen=True)
class Measured:
    """One run. Seconds; `idle` is the longest time that GPUs were free for somebody who waited."""

    wall: float
    most_gpus: int
    idle: float
    most_workers: int
    cpu: dict[str, float]


class Bench:
    """A stack in which runs with made NIMs are played."""

    def __init__(self, stack: Stack, folder: Path, api: AirflowApi, nemo: httpx.Client) -> None:
        self._stack, self._folder, self._api, self._nemo = stack, folder, api, nemo
        client: MongoClient[dict[str, Any]] = MongoClient("127.0.0.1", stack.ports.mongo)
        self._runs = RunRepository(client["flywheel"])
        self._count = 0

    def play(self, nims: tuple[Nim, ...], gpus: int | None) -> Measured:
        """Run these NIMs under that budget."""
        self._describe(nims, gpus)
        self._count += 1
        run_id = f"bench-{self._count}"
        began, before = time.time(), self._cpu_seconds()
        self._api.start(
            _DAG,
            run_id,
            {"client_id": samples.CLIENT, "workload_id": "support_agent", "config_name": "bench"},
        )
        most_workers = self._follow(run_id)
        run = self._api.get(f"/api/v2/dags/{_DAG}/dagRuns/{run_id}")
        job = ids.job_id(_DAG, run_id)
        if run["state"] != "success":
            raise SystemExit(f"{run_id} is {run['state']}: {self._runs.get(job).error}")
        uses = [use for use in self._nemo.get("/_local/gpu-uses").json() if use["at"] >= began]
        return Measured(
            wall=run["duration"],
            most_gpus=max(use["used"] for use in uses),
            idle=longest_idle_seconds(self._runs.nims(job), uses, gpus),
            most_workers=most_workers,
            cpu={name: seconds - before[name] for name, seconds in self._cpu_seconds().items()},
        )

    def _cpu_seconds(self) -> dict[str, float]:
        """CPU time by service, with that of its children, living and dead."""
        return {name: _cpu_of(psutil.Process(self._stack.pid_of(name))) for name in _SERVICES}

    def _follow(self, run_id: str) -> int:
        """Wait for the end; the highest number of processes below the scheduler that were seen."""
        most = 0
        scheduler = psutil.Process(self._stack.pid_of("airflow_scheduler"))
        # The run's own document first: Airflow reads all task instances of a run to answer for its state.
        job, looked_at = ids.job_id(_DAG, run_id), 0.0
        while True:
            self._stack.check()
            most = max(most, len(scheduler.children(recursive=True)))
            document = self._runs.find(job)
            if (document and document.finished_at) or time.monotonic() > looked_at + 10:
                looked_at = time.monotonic()
                if self._api.run_state(_DAG, run_id) in {"success", "failed"}:
                    return most
            time.sleep(0.5)

    def _describe(self, nims: tuple[Nim, ...], gpus: int | None) -> None:
        """Catalogue, profile and durations of this instance."""
        names = [f"bench/{nim.slug}-1b" for nim in nims]
        entries = [_entry(name, nim) for name, nim in zip(names, nims, strict=True)]
        (self._folder / "nims.yaml").write_text(
            yaml.safe_dump({"sources": {"A": "the benchmark"}, "nims": entries})
        )
        profile = {
            "extends": "laptop",
            "description": "The benchmark's.",
            "nims": names,
            "gpus": {"total": gpus},
            "split": {"eval_size": 20, "limit": 300},
            "waiting": {"poll_seconds": 0.25, "max_poll_seconds": 1},
        }
        (self._folder / "bench.yaml").write_text(yaml.safe_dump(profile))
        self._nemo.delete("/_local/behaviours").raise_for_status()
        for nim in nims:
            self._lasts("deployment", nim.slug, nim.deploy_ms)
            self._lasts("customization", nim.slug, nim.training_ms)
            self._lasts("evaluation", f"bench-{nim.slug}", nim.customized_ms)
            self._lasts("evaluation", f"bench/{nim.slug}", nim.base_ms)

    def _lasts(self, kind: str, model: str, duration_ms: int) -> None:
        body = {"kind": kind, "model_contains": model, "seconds": duration_ms / 1000}
        self._nemo.post("/_local/behaviours", json=body).raise_for_status()

    def install_targets(self) -> None:
        """What the Customizer can train: every NIM of the largest instance."""
        for number in range(_MOST_NIMS):
            name = f"nim-{number:02}-1b"
            target = {
                "namespace": "bench",
                "name": f"{name}@1.0",
                "base_model": f"bench/{name}",
                "model_path": name,
                "num_parameters": 10**9,
                "precision": "bf16-mixed",
            }
            self._nemo.post("/v1/customization/targets", json=target).raise_for_status()


def _cpu_of(process: psutil.Process) -> float:
    times = process.cpu_times()
    own = times.user + times.system + times.children_user + times.children_system
    return own + sum(_cpu_of(child) for child in process.children())


def _entry(name: str, nim: Nim) -> dict[str, Any]:
    return {
        "name": name,
        "image_name": name,
        "image_tag": "1",
        "parameters": 1e9,
        "gpus": nim.serve_gpus,
        "context_tokens": 131072,
        "customization": {"target": f"{name}@1.0", "num_gpus": nim.train_gpus, "max_seq_length": 8192},
        "sources": dict.fromkeys(("image", "parameters", "gpus", "context_tokens", "customization"), "A"),
    }


@contextmanager
def bench() -> Iterator[Bench]:
    """A stack with the sample traffic, up for as long as the block lasts."""
    folder = Path(tempfile.mkdtemp(prefix="flywheel_turnaround_"))
    layout = Layout(folder / "state")
    env = {"FLYWHEEL_PROFILES": str(folder), "FLYWHEEL_NIMS": str(folder / "nims.yaml")}
    # More than any budget: what is never exceeded is the budget of the leases.
    options = ["--gpus", "200", "--deploy-seconds", "0", "--evaluation-seconds", "0"]
    options += ["--training-seconds", "0", "--adapter-listing-seconds", "0"]
    try:
        with Stack(layout, Ports.free(), environment=env, nemo_options=options) as stack:
            stack.start_services()
            files = samples.write(folder / "samples", seed=7, chat_url=f"{stack.nemo_url}/nim")
            store = FileLogStore(layout.log_store)
            load(read_lines(files["support_agent"]), store, samples.CLIENT, "support_agent").check()
            stack.start_airflow()
            password = airflow_config.passwords(layout)["admin"]
            with (
                AirflowApi(stack.airflow_url, "admin", password) as api,
                httpx.Client(base_url=stack.nemo_url, timeout=30) as nemo,
            ):
                api.wait_for_dag(_DAG)
                api.unpause(_DAG)
                ready = Bench(stack, folder, api, nemo)
                ready.install_targets()
                yield ready
    finally:
        shutil.rmtree(layout.postgres, ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)


def best_seconds(nims: tuple[Nim, ...], gpus: int | None) -> tuple[float, bool]:
    """The shortest schedule known of the same dependencies and needs, and whether it is optimal."""
    best, least = best_list_schedule(nims, gpus, tries=1500), bound(nims, gpus)
    if best == least or len(nims) > _SEARCHED_NIMS:
        return best / 1000, best == least
    found, is_optimal = optimal(nims, gpus, known_ms=best, most_nodes=300_000)
    return found / 1000, is_optimal


def tasks_on_the_path() -> int:
    """How many tasks follow each other at most, from the start of a run to its end."""
    tasks = flywheel_dag(None).task_dict

    @functools.cache
    def longest(task_id: str) -> int:
        return 1 + max((longest(before) for before in tasks[task_id].upstream_task_ids), default=0)

    return max(longest(task_id) for task_id in tasks)


def played(nims: int, seed: int, shape: str, gpus: int | None, seconds: float | None) -> tuple[Nim, ...]:
    """The instance as the stand-in can play it: a model's base and ICL evaluations last the same."""
    drawn = instance(nims, seed, shape, gpus)
    if seconds is not None:
        ms = round(seconds * 1000)
        same = {"training_ms": ms, "deploy_ms": ms, "base_ms": ms, "icl_ms": ms, "customized_ms": ms}
        return tuple(replace(nim, **same) for nim in drawn)
    return tuple(replace(nim, icl_ms=nim.base_ms) for nim in drawn)


def main() -> None:
    """Play each instance and print a line for it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nims", type=int, nargs="+", default=[1, 3, 5, 10, 20])
    parser.add_argument("--gpus", type=int, nargs="+", default=[2, 4, 8, 0], help="0: no budget")
    parser.add_argument("--shape", default="small", choices=("small", "mixed"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, help="every job lasts so long")
    given = parser.parse_args()
    print(_HEAD)
    print("|" + "---|" * 10, flush=True)
    with bench() as ready:
        for number in given.nims:
            for total in given.gpus:
                gpus = total or None
                nims = played(number, given.seed, given.shape, gpus, given.seconds)
                best, is_optimal = best_seconds(nims, gpus)
                allowed = _LEEWAY * best + _SECONDS_A_TASK * tasks_on_the_path()
                got = ready.play(nims, gpus)
                print(
                    f"| {number} | {total or '∞'} | {given.shape} | {got.wall:.1f} "
                    f"| {'=' if is_optimal else '≤'} {best:.1f} | {allowed:.1f} | {got.most_gpus} "
                    f"| {got.idle:.1f} | {got.most_workers} | "
                    + ", ".join(f"{name} {seconds:.0f}" for name, seconds in got.cpu.items())
                    + " |",
                    flush=True,
                )


if __name__ == "__main__":
    main()

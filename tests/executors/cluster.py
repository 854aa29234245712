"""CeleryExecutor on Redis, with workers that share no disk: staging and logs are in a bucket (moto's S3)."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from include.flywheel.runs.leases.repository import LeaseRepository
from include.flywheel.runs.repository import RunRepository
from include.local_stack import samples
from include.local_stack.airflow_api import AirflowApi
from include.local_stack.airflow_config import PRODUCTION_SETTINGS
from include.local_stack.process import Service
from include.local_stack.stack import Stack

SUPPORT = "flywheel__acme-shop__support_agent"
STAGING, LOGS = "flywheel-staging", "flywheel-airflow-logs"
WORKERS = ("worker-1", "worker-2")
OVER = {"success", "failed"}
_KEY = "testing"
_INSTALL_SECONDS = 180
_READY_SECONDS = 120
_SAMPLE_LINES = 1500
_HERE = Path(__file__).parent
_PROGRAMS = Path(sys.executable).parent
_UNSHARE = ["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]


def need_namespaces() -> None:
    """Skips the test where a process cannot be given a disk of its own."""
    if shutil.which("unshare") is None or subprocess.run([*_UNSHARE, "true"], check=False).returncode != 0:
        pytest.skip("needs Linux's namespaces (as root) to hide the workers' disks from each other")


def need_redis() -> str:
    """The path of redis-server; installs it where it may, as root with apt, else skips the test."""
    if _redis() is None and os.geteuid() == 0 and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "-y", "--no-install-recommends", "redis-server"]):
            try:
                subprocess.run(
                    ["apt-get", "-o", "Acquire::Retries=0", *command],
                    env=environment,
                    capture_output=True,
                    timeout=_INSTALL_SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                break
    if (found := _redis()) is None:
        pytest.skip("needs the Debian package redis-server, which cannot be installed")
    return found


def _redis() -> str | None:
    return shutil.which("redis-server", path="/usr/bin:/usr/local/bin")


def until(what: str, ready: Callable[[], Any], seconds: float = _READY_SECONDS) -> Any:
    """Poll until `ready()` is true, and return it; fails with `what`."""
    deadline = time.monotonic() + seconds
    while not (found := ready()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.2)
    return found


def settings(broker_port: int) -> dict[str, str]:
    """Production's settings of Airflow less its login; logs in a bucket, as in deploy/helm-values.yaml."""
    kept = {name: value for name, value in PRODUCTION_SETTINGS.items() if not name.endswith("AUTH_MANAGER")}
    return kept | {
        "AIRFLOW__CELERY__BROKER_URL": f"redis://127.0.0.1:{broker_port}/0",
        # Two cores.
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": "3",
        "AIRFLOW__CORE__PARALLELISM": "6",
        # The health check would listen on a port that another scheduler of this machine may have.
        "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
        "AIRFLOW__LOGGING__REMOTE_LOGGING": "True",
        "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER": f"s3://{LOGS}",
        "AIRFLOW__LOGGING__REMOTE_LOG_CONN_ID": "aws_default",
        "AIRFLOW__LOGGING__DELETE_LOCAL_LOGS": "True",
    }


@dataclass
class Cluster:
    """What the tests talk to."""

    stack: Stack
    endpoint: str
    api: AirflowApi
    runs: RunRepository
    leases: LeaseRepository
    nemo: httpx.Client
    workers: dict[str, Service] = field(default_factory=dict)

    def start_worker(self, name: str) -> None:
        """Start `airflow celery worker` on a machine of its own, and wait until it takes tasks."""
        airflow = [str(_PROGRAMS / "airflow"), "celery", "worker", "--skip-serve-logs"]
        machine = [*_UNSHARE, "sh", str(_HERE / "machine.sh"), name, str(self.stack.layout.state)]
        own = {"AIRFLOW_HOME": "/tmp/airflow", "AIRFLOW__LOGGING__BASE_LOG_FOLDER": "/tmp/airflow/logs"}
        own |= {"TMPDIR": "/tmp", "HOME": "/tmp"}
        service = self.stack.start_beside(name, [*machine, *airflow], own)
        service.wait_ready(lambda: f"celery@{name} ready" in service.log.read_text(), _READY_SECONDS)
        self.workers[name] = service

    def root_of(self, name: str) -> Path:
        """The disk as a worker sees it."""
        return Path(f"/proc/{self._first_process(name)}/root")

    def written_by(self, name: str) -> set[str]:
        """Every file on the disk of a worker that the worker wrote."""
        root = self.root_of(name)
        found = {path for top in ("tmp", "var/tmp") for path in (root / top).rglob("*") if path.is_file()}
        return {str(path.relative_to(root)) for path in found}

    def _first_process(self, name: str) -> int:
        parent = self.workers[name].pid
        [child] = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return int(child)

    def signal(self, name: str, what: signal.Signals) -> None:
        """Send a signal to every process of a worker."""
        os.killpg(self.workers[name].pid, what)

    def finish(self, run_id: str, seconds: float, watch: Callable[[], None] = lambda: None) -> str:
        """Wait for the end of a run; returns Airflow's state."""

        def is_over() -> bool:
            watch()
            return self.api.run_state(SUPPORT, run_id) in OVER

        until(f"end of {run_id}", is_over, seconds)
        return self.api.run_state(SUPPORT, run_id)

    def tasks_on(self, run_id: str) -> dict[str, list[dict[str, Any]]]:
        """A run's task instances by the worker that ran them last; "" holds those that no worker ran."""
        found: dict[str, list[dict[str, Any]]] = {}
        for one in self.api.task_instances(SUPPORT, run_id):
            found.setdefault(one["hostname"] or "", []).append(one)
        return found

    def jobs(self, job_id: str) -> list[tuple[str, str]]:
        """NIM and stage of each remote job of a run."""
        found = []
        for kind in ("customization", "evaluation"):
            rows = self.nemo.get(f"/v1/{kind}/jobs", params={"page_size": 1000}).raise_for_status().json()
            for row in rows["data"]:
                if row.get("project") == f"run-{job_id}":
                    found.append((row["custom_fields"]["nim"], row["custom_fields"]["stage"]))
        return found

    def deployments(self, job_id: str) -> list[str]:
        """Names of a run's deployments that are up."""
        rows = self.nemo.get("/v1/deployment/model-deployments", params={"page_size": 1000})
        return [one["name"] for one in rows.json()["data"] if one.get("project") == f"run-{job_id}"]

    def staged(self) -> list[str]:
        """Keys of the staging bucket."""
        listed = s3(self.endpoint).list_objects_v2(Bucket=STAGING)
        return [one["Key"] for one in listed.get("Contents", [])]


def s3(endpoint: str) -> Any:
    """A client of the bucket's server."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=_KEY,
        aws_secret_access_key=_KEY,
    )


def start_stores(stack: Stack, redis: str, ports: dict[str, int]) -> None:
    """Start Redis, the buckets' server and Elasticsearch (a fake); Airflow's connections lead there."""
    folder = stack.layout.state / "redis"
    folder.mkdir()
    queue = [redis, "--port", str(ports["redis"]), "--bind", "127.0.0.1", "--dir", str(folder)]
    stack.start_beside("redis", [*queue, "--save", ""])
    stack.start_beside("s3", [str(_PROGRAMS / "moto_server"), "-H", "127.0.0.1", "-p", str(ports["s3"])])
    fake = str(_HERE.parent / "fakes" / "elasticsearch.py")
    stack.start_beside("elasticsearch", [sys.executable, fake, "--port", str(ports["elasticsearch"])])
    endpoint = f"http://127.0.0.1:{ports['s3']}"
    for port in ports.values():
        until(f"port {port} answers", lambda port=port: _listens(port))
    for bucket in (STAGING, LOGS):
        s3(endpoint).create_bucket(Bucket=bucket)
    url = f"http://127.0.0.1:{ports['elasticsearch']}"
    theirs = {
        "flywheel_logs": {"conn_type": "elasticsearch", "conn_host": url},
        "aws_default": {
            "conn_type": "aws",
            "conn_login": _KEY,
            "conn_password": _KEY,
            "conn_extra": {"endpoint_url": endpoint, "region_name": "us-east-1"},
        },
    }
    kept = [one for one in stack.settings["connections"] if one["conn_id"] not in theirs]
    stack.settings["connections"] = kept + [{"conn_id": name, **said} for name, said in theirs.items()]
    [variable] = [
        one for one in stack.settings["variables"] if one["variable_name"] == "flywheel_staging_url"
    ]
    variable["variable_value"] = f"s3://aws_default@{STAGING}/runs"
    _load_logs(stack, url)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _load_logs(stack: Stack, url: str) -> None:
    files = samples.write(stack.layout.state / "samples", seed=7, chat_url=f"{stack.nemo_url}/nim")
    lines = files["support_agent"].read_bytes().splitlines(keepends=True)[:_SAMPLE_LINES]
    part = stack.layout.state / "support_agent.jsonl"
    part.write_bytes(b"".join(lines))
    command = [sys.executable, "-m", "include.cli.logs", "load", str(part), "--conn", "flywheel_logs"]
    subprocess.run(
        [*command, "--client", samples.CLIENT, "--workload", "support_agent"],
        env=os.environ
        | {"AIRFLOW_CONN_FLYWHEEL_LOGS": json.dumps({"conn_type": "elasticsearch", "host": url})},
        cwd=_HERE.parents[1],
        check=True,
    )

"""What the end-to-end tests talk to: the stack, Airflow's REST API, the stores, the stand-in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from pymongo.database import Database

from include.flywheel.runs import ids
from include.flywheel.runs.documents import RunDocument
from include.flywheel.runs.leases.repository import LeaseRepository
from include.flywheel.runs.repository import RunRepository
from include.local_stack import airflow_config, settings
from include.local_stack.airflow_api import AirflowApi
from include.local_stack.stack import Stack

OVER = {"success", "failed"}


@dataclass
class World:
    """What the tests talk to."""

    stack: Stack
    api: AirflowApi
    runs: RunRepository
    leases: LeaseRepository
    database: Database[dict[str, Any]]
    nemo: httpx.Client

    def start(self, dag_id: str, run_id: str, **conf: Any) -> str:
        """Start a run by REST; returns its job id."""
        self.api.start(dag_id, run_id, conf)
        return ids.job_id(dag_id, run_id)

    def wait_for(self, what: str, ready: Callable[[], bool], seconds: float = 120) -> None:
        """Poll until `ready()`; fails with `what` after `seconds`."""

        def checked() -> bool:
            self.stack.check()
            return ready()

        self.wait_unchecked(what, checked, seconds)

    def wait_unchecked(self, what: str, ready: Callable[[], bool], seconds: float = 120) -> None:
        """The same while a service of the stack is down on purpose."""
        deadline = time.monotonic() + seconds
        while not ready():
            assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
            time.sleep(0.2)

    def finish(self, dag_id: str, run_id: str, seconds: float = 180) -> str:
        """Wait for the end of a run; returns Airflow's state."""
        self.wait_for(f"end of {run_id}", lambda: self.api.run_state(dag_id, run_id) in OVER, seconds=seconds)
        return self.api.run_state(dag_id, run_id)

    def document(self, dag_id: str, run_id: str) -> RunDocument:
        """The run's document."""
        return self.runs.get(ids.job_id(dag_id, run_id))

    def remote(self, project: str) -> dict[str, Any]:
        """What the stand-in holds of a run: deployments, live jobs, data sets."""

        def rows(path: str) -> list[dict[str, Any]]:
            found = self.nemo.get(path, params={"page_size": 1000}).raise_for_status().json()["data"]
            return [row for row in found if row.get("project") == project]

        live = {"created", "pending", "running", "cancelling"}
        jobs = rows("/v1/customization/jobs") + rows("/v1/evaluation/jobs")
        return {
            "deployments": [row["name"] for row in rows("/v1/deployment/model-deployments")],
            "live_jobs": [row["id"] for row in jobs if row["status"] in live],
            "datasets": [row["name"] for row in rows("/v1/datasets")],
        }

    def jobs(self, project: str) -> set[str]:
        """Ids of every customization and evaluation job of a run."""
        return {
            row["id"]
            for path in ("/v1/customization/jobs", "/v1/evaluation/jobs")
            for row in self.nemo.get(path, params={"page_size": 1000}).raise_for_status().json()["data"]
            if row.get("project") == project
        }

    def job(self, job_id: str) -> dict[str, Any]:
        """A remote job as the service shows it."""
        kind = "customization" if job_id.startswith("cust") else "evaluation"
        found: dict[str, Any] = self.nemo.get(f"/v1/{kind}/jobs/{job_id}").raise_for_status().json()
        return found

    def job_of(self, job_id: str) -> tuple[str, str]:
        """NIM and stage of a remote job."""
        fields = self.job(job_id)["custom_fields"]
        return fields["nim"].replace("-", "/", 1), fields["stage"]

    def http(self) -> httpx.Client:
        """The API server's own paths, asked as the admin."""
        login = {"username": "admin", "password": airflow_config.passwords(self.stack.layout)["admin"]}
        answer = httpx.post(f"{self.stack.airflow_url}/auth/token", json=login, timeout=30)
        token = answer.raise_for_status().json()["access_token"]
        return httpx.Client(
            base_url=self.stack.airflow_url, headers={"Authorization": f"Bearer {token}"}, timeout=30
        )

    def airflow_connection(self) -> dict[str, str]:
        """The connection by which commands reach Airflow."""
        password = airflow_config.passwords(self.stack.layout)["admin"]
        url = self.stack.airflow_url
        said = {"conn_type": "http", "host": url, "login": "admin", "password": password}
        return {"AIRFLOW_CONN_AIRFLOW_API": json.dumps(said)}

    def behave(self, kind: str, model: str, how: dict[str, Any]) -> None:
        """Make the stand-in hold or fail the matching jobs."""
        body = {"kind": kind, "model_contains": model, **how}
        self.nemo.post("/_local/behaviours", json=body).raise_for_status()

    def received(self, job_id: str) -> list[dict[str, Any]]:
        """What the application received about a run."""
        if not self.stack.events_file.exists():
            return []
        lines = self.stack.events_file.read_text().splitlines()
        return [event for event in (json.loads(line)["event"] for line in lines) if event["job_id"] == job_id]

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`python -m include.cli.runs …` as a person gives it."""
        return subprocess.run(
            [sys.executable, "-m", "include.cli.runs", *arguments],
            env=os.environ | settings.as_environment(self.stack.settings) | self.airflow_connection(),
            capture_output=True,
            text=True,
            check=False,
        )

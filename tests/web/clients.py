"""A server with the FAB auth manager and two clients, each with runs, traffic and troubles of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pymongo import MongoClient

from include.flywheel.config.workload import DIRECTORY_VARIABLE
from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.load import load
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import RunStatus

from . import airflow_server
from .airflow_server import ApiServer
from .people import DAGS, ON_DEMAND, with_fab_people
from .written import write_run

DATABASE = "flywheel_clients"
# The workload of each client, and the DAG that runs it.
WORKLOADS = {"globex": ("desk", DAGS["globex"]), "initech": ("chat", ON_DEMAND)}


@dataclass
class World:
    """The server, its store, and what stands in it."""

    server: ApiServer
    runs: RunRepository
    jobs: dict[str, list[str]] = field(default_factory=lambda: {client: [] for client in WORKLOADS})

    def write(self, client: str, status: RunStatus) -> str:
        """One more run of the client; its job id."""
        workload, dag_id = WORKLOADS[client]
        run_id = f"{client}-{len(self.jobs[client])}"
        job_id = write_run(self.runs, dag_id, run_id, client, workload, status).job_id
        self.jobs[client].append(job_id)
        return job_id

    def start(self, client: str) -> str:
        """A run of the client that Airflow knows; its job id."""
        body = {"client_id": client, "workload_id": WORKLOADS[client][0]}
        with self.server.client("admin") as admin:
            answer = admin.post("/api/jobs", json=body)
        assert answer.status_code == 200, answer.text
        job_id: str = answer.json()["id"]
        self.jobs[client].append(job_id)
        return job_id

    def secrets_of(self, client: str) -> list[str]:
        """What no other client may read in any answer."""
        return [client, *self.jobs[client]]


@contextmanager
def fab_world(folder: Path, port: int, mongo_uri: str, connections: dict[str, Any]) -> Iterator[World]:
    """The world, from start to end."""
    logs = folder / "logs"
    connections = connections | {
        "flywheel_runs": connections["flywheel_runs"] | {"schema": DATABASE},
        "flywheel_logs": {"conn_type": "fs", "extra": {"path": str(logs)}},
        # No log store: whoever asks about it is told so, by its name.
        "globex_logs": {"conn_type": "http", "host": "http://globex.example.org"},
    }
    _describe(folder / "workloads")
    _log(logs)
    env, _ = airflow_server.environment(
        folder, port, auth="fab", extra={DIRECTORY_VARIABLE: str(folder / "workloads")}
    )
    service = airflow_server.start(folder, port, env, connections)
    try:
        with MongoClient[dict[str, Any]](mongo_uri) as client:
            server = with_fab_people(ApiServer(f"http://127.0.0.1:{port}", {}, env))
            runs = RunRepository(client[DATABASE])
            runs.ensure_indexes()
            world = World(server, runs)
            for name in WORKLOADS:
                for status in RunStatus:
                    world.write(name, status)
            yield world
            client.drop_database(DATABASE)
    finally:
        service.stop()


def _describe(folder: Path) -> None:
    """Globex is configured, with a log store and an application of its own that are both out of order."""
    folder.mkdir()
    globex = {
        "client_id": "globex",
        "workload_id": "desk",
        "logs_conn_id": "globex_logs",
        "application_conn_id": "globex_application",
    }
    (folder / "globex.yaml").write_text(yaml.safe_dump(globex))


def _log(folder: Path) -> None:
    """Traffic of both in the common log store, where nobody has configured it."""
    folder.mkdir()
    store = FileLogStore(folder)
    for client, workload in (("initech", "chat"), ("globex", "night_desk")):
        load(_lines(client), store, client, workload).check()


def _lines(client: str) -> Iterator[bytes]:
    answer = {"role": "assistant", "content": "Yes."}
    for number in range(5):
        record = {
            "timestamp": 1_767_225_600_000 + number,
            "request": {"messages": [{"role": "user", "content": f"{client} asks {number}"}]},
            "response": {"choices": [{"message": answer}]},
        }
        yield json.dumps(record).encode()

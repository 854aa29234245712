"""A real API server of Airflow with our plugin, once for all tests; MongoDB's wire behind it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import pytest
import yaml
from pymongo import MongoClient

from include.flywheel.config.workload import DIRECTORY_VARIABLE
from include.flywheel.runs.repository import RunRepository
from include.local_stack.process import Service
from include.stores.feedback import FeedbackPlace

from . import airflow_server
from .airflow_server import ApiServer, Auth
from .apart import running_apart

DATABASE = "flywheel_web"
DATABASE_APART = "flywheel_web_apart"
METRICS_TOKEN = "only-for-prometheus"
# Two clients with DAGs of their own.
WORKLOADS = {"acme": ["desk", "orders"], "globex": ["desk"]}


class StartServer(Protocol):
    """`api_server(auth="fab")`: the server with that auth manager; started once, then the same."""

    def __call__(self, auth: Auth = "simple") -> ApiServer: ...


@pytest.fixture(scope="session")
def workloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the configured workloads."""
    folder = tmp_path_factory.mktemp("workloads")
    for client, names in WORKLOADS.items():
        for name in names:
            described = {"client_id": client, "workload_id": name, "description": f"{name} of {client}"}
            (folder / f"{client}_{name}.yaml").write_text(yaml.safe_dump(described))
    return folder


@pytest.fixture(scope="session")
def feedback(feedback_server: Any) -> Iterator[FeedbackPlace]:
    """The database of all servers' feedback."""
    with feedback_server.database() as place:
        yield place


@pytest.fixture(scope="session")
def connections(
    mongo_uri: str, feedback: FeedbackPlace, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The connections of the server. Nobody listens at NeMo's address: a free port is not asked for twice."""
    mongo = urlsplit(mongo_uri)
    logs = tmp_path_factory.mktemp("web_logs")
    return {
        "flywheel_runs": {
            "conn_type": "mongo",
            "host": mongo.hostname,
            "port": mongo.port,
            "login": mongo.username,
            "password": mongo.password,
            "schema": DATABASE,
        },
        "flywheel_logs": {"conn_type": "fs", "extra": {"path": str(logs)}},
        "flywheel_feedback": {
            "conn_type": "postgres",
            "host": feedback.host,
            "port": feedback.port,
            "login": feedback.user,
            "password": feedback.password,
            "schema": feedback.database,
        },
        "nemo": {
            "conn_type": "nemo",
            "host": "http://127.0.0.1:9",
            "extra": {
                "data_store_url": "http://127.0.0.1:9",
                "nim_proxy_url": "http://127.0.0.1:9/nim",
                "namespace": "flywheel",
            },
        },
        "application": {
            "conn_type": "generic",
            "password": "application-secret",
            "extra": {"url": "http://127.0.0.1:9/events"},
        },
    }


@pytest.fixture(scope="session")
def api_server(
    tmp_path_factory: pytest.TempPathFactory,
    free_port: Callable[[], int],
    workloads: Path,
    connections: dict[str, Any],
    mongo_uri: str,
) -> Iterator[StartServer]:
    started: dict[str, ApiServer] = {}
    with ExitStack() as stack:

        def get(auth: Auth = "simple") -> ApiServer:
            if auth not in started:
                folder, port = tmp_path_factory.mktemp(f"airflow_{auth}"), free_port()
                extra = {DIRECTORY_VARIABLE: str(workloads), "FLYWHEEL_METRICS_TOKEN": METRICS_TOKEN}
                env, passwords = airflow_server.environment(folder, port, auth=auth, extra=extra)
                service: Service = airflow_server.start(folder, port, env, connections)
                stack.callback(shutil.rmtree, folder, ignore_errors=True)
                stack.callback(service.stop)
                started[auth] = ApiServer(f"http://127.0.0.1:{port}", passwords, env)
            return started[auth]

        yield get
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        client.drop_database(DATABASE)


@pytest.fixture(scope="session")
def server_apart(
    tmp_path_factory: pytest.TempPathFactory,
    free_port: Callable[[], int],
    connections: dict[str, Any],
    workloads: Path,
    mongo_uri: str,
) -> Iterator[ApiServer]:
    """A server with a store of its own, for tests that leave much behind."""
    folder = tmp_path_factory.mktemp("apart")
    with running_apart(folder, free_port(), connections, workloads, DATABASE_APART) as started:
        yield started
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        client.drop_database(DATABASE_APART)


@pytest.fixture
def runs_apart(mongo_uri: str) -> Iterator[RunRepository]:
    """The run documents that `server_apart` reads."""
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        repository = RunRepository(client[DATABASE_APART])
        repository.ensure_indexes()
        yield repository


@pytest.fixture
def runs(mongo_uri: str) -> Iterator[RunRepository]:
    """The run documents that the server reads."""
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        repository = RunRepository(client[DATABASE])
        # As the first task of a run does: without them a run could be written down twice.
        repository.ensure_indexes()
        yield repository

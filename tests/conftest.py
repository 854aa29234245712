"""What every test stands on: an Airflow of its own that knows nothing of the caller's, and a MongoDB wire."""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import PyMongoError
from xdist.scheduler.loadfile import LoadFileScheduling

if TYPE_CHECKING:
    from include.stores.feedback import FeedbackPlace

    from .feedback_database import FeedbackServer

_MONGO_READY_SECONDS = 30.0


def _own_airflow() -> None:
    """Airflow reads its environment when it is first imported: before any test module is."""
    for name in [name for name in os.environ if name.startswith(("AIRFLOW_", "_AIRFLOW_", "FLYWHEEL_WORK"))]:
        del os.environ[name]
    home = tempfile.mkdtemp(prefix="flywheel_tests_airflow_")
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    os.environ["AIRFLOW_HOME"] = home
    os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "True"
    os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"


_own_airflow()

# An API server of Airflow is slow to start: the files that share one run in one process.
_SHARING = dict.fromkeys(
    ("tests/web/test_roles.py", "tests/web/test_fuzz.py"), "server_apart"
) | dict.fromkeys(
    (
        f"tests/web/test_{name}.py"
        for name in ("cookies", "health", "jobs", "more", "nims", "readme_commands", "workloads")
    ),
    "api_server",
)


class _ByFileAndServer(LoadFileScheduling):
    """Side by side: the tests of a file in one process, and so those of files that share a server."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return _SHARING.get(file, file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling:
    """What gives tests to processes."""
    return _ByFileAndServer(config, log)


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Gives a port of 127.0.0.1 that nobody uses now."""

    def pick() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    return pick


@pytest.fixture(scope="session")
def mongo_uri(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[str]:
    """A MongoDB: that of MONGO_URI where it is given, else the embedded server on a free port."""
    if given := os.environ.get("MONGO_URI"):
        yield given
        return
    folder, port = tmp_path_factory.mktemp("mongo"), free_port()
    command = [str(Path(sys.executable).parent / "nx-27017"), "--data-dir", str(folder), "-p", str(port)]
    command += ["--pid-file", str(folder / "pid")]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    uri = f"mongodb://127.0.0.1:{port}"
    try:
        _wait_for_mongo(uri, server, folder / "log")
        yield uri
    finally:
        server.kill()
        server.wait()


def _wait_for_mongo(uri: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _MONGO_READY_SECONDS
    while True:
        try:
            with MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=500) as client:
                client.admin.command("ping")
                return
        except PyMongoError:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the MongoDB-wire server is not ready: {log.read_text()[-2000:]}")


@pytest.fixture
def mongo_database(mongo_uri: str) -> Iterator[Database[dict[str, Any]]]:
    """An empty database that is dropped afterwards."""
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        name = f"test_{uuid4().hex[:12]}"
        yield client[name]
        client.drop_database(name)


@pytest.fixture(scope="session")
def feedback_server(
    tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]
) -> Iterator[FeedbackServer]:
    """A PostgreSQL: that of POSTGRES_TEST_DSN where it is given, else the embedded server on a free port."""
    from .feedback_database import feedback_server as serve  # noqa: PLC0415 - reads Airflow's environment

    with serve(free_port, tmp_path_factory.mktemp("postgres") / "log") as server:
        yield server


@pytest.fixture
def feedback_place(feedback_server: FeedbackServer) -> Iterator[FeedbackPlace]:
    """An empty feedback database with this program's schema, dropped afterwards."""
    with feedback_server.database() as place:
        yield place

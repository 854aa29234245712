"""A server with a store and a log of its own, for tests that leave much behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from include.flywheel.config.workload import DIRECTORY_VARIABLE

from . import airflow_server
from .airflow_server import ApiServer


@contextmanager
def running_apart(
    folder: Path, port: int, connections: dict[str, Any], workloads: Path, database: str
) -> Iterator[ApiServer]:
    """The server with the simple auth manager, from start to end."""
    (folder / "logs").mkdir()
    own = connections | {
        "flywheel_runs": connections["flywheel_runs"] | {"schema": database},
        "flywheel_logs": {"conn_type": "fs", "extra": {"path": str(folder / "logs")}},
    }
    extra = {DIRECTORY_VARIABLE: str(workloads)}
    env, passwords = airflow_server.environment(folder, port, auth="simple", extra=extra)
    service = airflow_server.start(folder, port, env, own)
    try:
        yield ApiServer(f"http://127.0.0.1:{port}", passwords, env)
    finally:
        service.stop()

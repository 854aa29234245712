"""The log store behind a workload's connection."""

from __future__ import annotations

from pathlib import Path

from include.flywheel.errors import ConfigError
from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.store import LogStore
from include.stores import connections


def open_logs(conn_id: str = "flywheel_logs") -> LogStore:
    """The log store of a connection: type `fs`, files below its extra `path`.

    Raises ConfigError for a missing connection, another type, or a path that is not there.
    """
    connection = connections.get(conn_id, "log store")
    if connection.conn_type != "fs":
        raise ConfigError(f"connection {conn_id!r}: type {connection.conn_type!r} is no log store; use `fs`")
    path = connection.extra_dejson.get("path")
    if not path:
        raise ConfigError(f"connection {conn_id!r}: extra `path` is empty; name the folder of the log files")
    root = Path(path)
    if not root.is_dir():
        raise ConfigError(f"connection {conn_id!r}: extra `path` = {path!r} is not a folder on this worker")
    return FileLogStore(root)

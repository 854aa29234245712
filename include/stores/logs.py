"""The log store behind a workload's connection."""

from __future__ import annotations

from pathlib import Path

from include.flywheel.errors import ConfigError
from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.store import LogStore
from include.stores import connections
from include.stores.log_extras import ElasticExtras, FileExtras, read_extras


def open_logs(conn_id: str = "flywheel_logs") -> LogStore:
    """The log store of a connection.

    Type `fs`: files below its extra `path`. Type `elasticsearch`: the index of its extra `index`; the other
    extras are those of `ElasticExtras`.

    Raises ConfigError for a missing connection, another type, extras that cannot be used or are not known, a
    folder that is not there, and a server that cannot be reached, does not let in, or is not Elasticsearch.
    """
    connection = connections.get(conn_id, "log store")
    if connection.conn_type == "fs":
        return _open_files(conn_id, read_extras(connection, FileExtras))
    if connection.conn_type == "elasticsearch":
        # Loaded where it is needed: the client alone takes a second, each time that DAGs are parsed.
        from include.stores.log_elasticsearch import open_elasticsearch  # noqa: PLC0415

        return open_elasticsearch(connection, read_extras(connection, ElasticExtras))
    raise ConfigError(
        f"connection {conn_id!r}: type {connection.conn_type!r} is no log store; use `fs` or `elasticsearch`"
    )


def _open_files(conn_id: str, extras: FileExtras) -> FileLogStore:
    if extras.path is None:
        raise ConfigError(f"connection {conn_id!r}: extra `path` is empty; name the folder of the log files")
    root = Path(extras.path)
    if not root.is_dir():
        raise ConfigError(
            f"connection {conn_id!r}: extra `path` = {extras.path!r} is not a folder on this worker"
        )
    return FileLogStore(root)

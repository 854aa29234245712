"""The database behind the connection `flywheel_runs`: one client a process for all that lies in it."""

from __future__ import annotations

import os
from typing import Any

from airflow.providers.mongo.hooks.mongo import MongoHook
from pymongo import MongoClient
from pymongo.database import Database

from include.stores import connections

CONN_ID = "flywheel_runs"

# By process and address: a client is thread-safe, but does not survive a fork.
_clients: dict[tuple[int, str], MongoClient[dict[str, Any]]] = {}


def open_database() -> Database[dict[str, Any]]:
    """The database. Raises ConfigError when the connection is missing."""
    connection = connections.get(CONN_ID, "MongoDB for run state")
    hook = MongoHook(mongo_conn_id=CONN_ID)
    key = (os.getpid(), hook.uri)
    if key not in _clients:
        # A person who marks a run failed waits for the note of it: seconds, not pymongo's half minute.
        hook.extras.setdefault("serverSelectionTimeoutMS", 5000)
        _clients[key] = hook.get_conn()
    return _clients[key][connection.schema or "flywheel"]

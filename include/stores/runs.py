"""The run repository behind the connection `flywheel_runs`."""

from __future__ import annotations

import os
from functools import lru_cache

from airflow.providers.mongo.hooks.mongo import MongoHook

from include.flywheel.runs.repository import RunRepository
from include.stores import connections

CONN_ID = "flywheel_runs"


def open_runs() -> RunRepository:
    """The repository. One client a process: it is thread-safe, but does not survive a fork.

    Raises ConfigError when the connection is missing.
    """
    return _open(os.getpid())


@lru_cache(maxsize=1)
def _open(_pid: int) -> RunRepository:
    connection = connections.get(CONN_ID, "MongoDB for run state")
    hook = MongoHook(mongo_conn_id=CONN_ID)
    # A person who marks a run failed waits for the note of it: seconds, not pymongo's half minute.
    hook.extras.setdefault("serverSelectionTimeoutMS", 5000)
    client = hook.get_conn()
    repository = RunRepository(client[connection.schema or "flywheel"])
    repository.ensure_indexes()
    return repository

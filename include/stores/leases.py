"""The GPU leases behind the connection `flywheel_runs`."""

from __future__ import annotations

import os
from functools import lru_cache

from airflow.providers.mongo.hooks.mongo import MongoHook

from include.flywheel.runs.leases.repository import LeaseRepository
from include.stores import connections
from include.stores.runs import CONN_ID


def open_leases() -> LeaseRepository:
    """The leases. One client a process: it is thread-safe, but does not survive a fork.

    Raises ConfigError when the connection is missing.
    """
    return _open(os.getpid())


@lru_cache(maxsize=1)
def _open(_pid: int) -> LeaseRepository:
    connection = connections.get(CONN_ID, "MongoDB for run state")
    hook = MongoHook(mongo_conn_id=CONN_ID)
    hook.extras.setdefault("serverSelectionTimeoutMS", 5000)
    repository = LeaseRepository(hook.get_conn()[connection.schema or "flywheel"])
    repository.ensure_indexes()
    return repository

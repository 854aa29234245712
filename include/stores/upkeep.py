"""Reports of the clean-up, and the runs as it sees them, behind the connection `flywheel_runs`."""

from __future__ import annotations

import os
from functools import lru_cache

from airflow.providers.mongo.hooks.mongo import MongoHook

from include.flywheel.runs.archive import RunArchive
from include.flywheel.runs.upkeep_reports import UpkeepReports
from include.stores import connections
from include.stores.runs import CONN_ID


def open_reports() -> UpkeepReports:
    """The reports. One client a process. Raises ConfigError when the connection is missing."""
    return _open(os.getpid())[0]


def open_archive() -> RunArchive:
    """The runs. One client a process. Raises ConfigError when the connection is missing."""
    return _open(os.getpid())[1]


@lru_cache(maxsize=1)
def _open(_pid: int) -> tuple[UpkeepReports, RunArchive]:
    connection = connections.get(CONN_ID, "MongoDB for run state")
    hook = MongoHook(mongo_conn_id=CONN_ID)
    hook.extras.setdefault("serverSelectionTimeoutMS", 5000)
    database = hook.get_conn()[connection.schema or "flywheel"]
    reports = UpkeepReports(database)
    reports.ensure_indexes()
    return reports, RunArchive(database)

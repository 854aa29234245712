"""Reports of the clean-up, and the runs as it sees them, behind the connection `flywheel_runs`."""

from __future__ import annotations

import os
from functools import lru_cache

from include.flywheel.runs.archive import RunArchive
from include.flywheel.runs.upkeep_reports import UpkeepReports
from include.stores.mongo import open_database


def open_reports() -> UpkeepReports:
    """The reports. One client a process. Raises ConfigError when the connection is missing."""
    return _open(os.getpid())[0]


def open_archive() -> RunArchive:
    """The runs. One client a process. Raises ConfigError when the connection is missing."""
    return _open(os.getpid())[1]


@lru_cache(maxsize=1)
def _open(_pid: int) -> tuple[UpkeepReports, RunArchive]:
    database = open_database()
    reports = UpkeepReports(database)
    reports.ensure_indexes()
    return reports, RunArchive(database)

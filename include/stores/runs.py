"""The run repository behind the connection `flywheel_runs`."""

from __future__ import annotations

import os
from functools import lru_cache

from include.flywheel.runs.repository import RunRepository
from include.stores.mongo import CONN_ID, open_database

__all__ = ["CONN_ID", "open_runs"]


def open_runs() -> RunRepository:
    """The repository. Its indexes are made by the first task of a run.

    Raises ConfigError when the connection is missing.
    """
    return _open(os.getpid())


@lru_cache(maxsize=1)
def _open(_pid: int) -> RunRepository:
    return RunRepository(open_database())

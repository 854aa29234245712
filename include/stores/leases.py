"""The GPU leases behind the connection `flywheel_runs`."""

from __future__ import annotations

import os
from functools import lru_cache

from include.flywheel.runs.leases.repository import LeaseRepository
from include.stores.mongo import open_database


def open_leases() -> LeaseRepository:
    """The leases; an empty ledger is made where there is none.

    Raises ConfigError when the connection is missing.
    """
    return _open(os.getpid())


@lru_cache(maxsize=1)
def _open(_pid: int) -> LeaseRepository:
    return LeaseRepository(open_database())

"""The traffic of workloads, in the log stores behind their connections."""

from __future__ import annotations

import os
from functools import lru_cache

from include.flywheel.logs.traffic import TrafficCounts
from include.stores.logs import open_logs

DEFAULT_CONN_ID = "flywheel_logs"


def open_traffic() -> TrafficCounts:
    """The counts, one for all who ask in this process."""
    return _open(os.getpid())


@lru_cache(maxsize=1)
def _open(_pid: int) -> TrafficCounts:
    return TrafficCounts(open_logs)

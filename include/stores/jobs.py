"""What the jobs API keeps beside the runs, behind the connection `flywheel_runs`."""

from __future__ import annotations

import os
from functools import lru_cache

from include.flywheel.jobs.idempotency import IdempotencyKeys
from include.stores.mongo import open_database


def open_idempotency_keys() -> IdempotencyKeys:
    """The idempotency keys. Raises ConfigError when the connection is missing."""
    return _open(os.getpid())


@lru_cache(maxsize=1)
def _open(_pid: int) -> IdempotencyKeys:
    keys = IdempotencyKeys(open_database())
    keys.ensure_indexes()
    return keys

"""Times and ids in the forms that the services use on the wire."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def now() -> float:
    """Unix seconds. Wall clock, since stored moments must mean the same after a restart."""
    return time.time()


def stamp(moment: float | None = None) -> str:
    """Naive UTC with microseconds, as Entity Store, Customizer and Evaluator write it."""
    return _utc(moment).strftime("%Y-%m-%dT%H:%M:%S.%f")


def stamp_nanoseconds(moment: float | None = None) -> str:
    """UTC with nine decimals and a ``Z``, as the Deployment service writes it."""
    return _utc(moment).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


def stamp_seconds(moment: float | None = None) -> str:
    """UTC with whole seconds and a ``Z``, as the Data Store writes it."""
    return _utc(moment).strftime("%Y-%m-%dT%H:%M:%SZ")


def new_id(prefix: str) -> str:
    """``<prefix>-<base58 of a uuid4>``."""
    number, digits = uuid.uuid4().int, ""
    while number:
        number, rest = divmod(number, 58)
        digits = _BASE58[rest] + digits
    return f"{prefix}-{digits}"


def _utc(moment: float | None) -> datetime:
    return datetime.fromtimestamp(now() if moment is None else moment, UTC)

"""Unix time as log records carry it: milliseconds, or seconds when the value is below 10^11."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

SECONDS_BELOW = 10**11
"""Values below this are seconds (as milliseconds they would lie before March 1973)."""

LAST_MS = 253_402_300_799_999
"""The last millisecond of the year 9999; anything above is microseconds or worse."""

DAY_MS = 86_400_000


def to_milliseconds(value: Any) -> int | None:
    """Unix milliseconds of a record's `timestamp`, or None when it is no positive Unix time."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    milliseconds = round(value * 1000) if value < SECONDS_BELOW else round(value)
    return milliseconds if 0 < milliseconds <= LAST_MS else None


def day_of(milliseconds: int) -> str:
    """The UTC day of a time, `YYYY-MM-DD`."""
    return datetime.fromtimestamp(milliseconds // 1000, tz=UTC).strftime("%Y-%m-%d")


def start_of_day_ms(day: str) -> int:
    """Unix milliseconds of the first moment of `YYYY-MM-DD` in UTC. Raises ValueError on anything else."""
    return int(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()) * 1000

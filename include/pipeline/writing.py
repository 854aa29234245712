"""Writing from a trigger, where nobody tries again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from pymongo.errors import PyMongoError

_PATIENCE_SECONDS = 600.0
_PAUSE_SECONDS = 1.0


async def until_written(log: Any, write: Callable[..., object], *arguments: Any) -> None:
    """Call `write(*arguments)` in a thread, again while MongoDB is away; after ten minutes it is logged."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            await asyncio.to_thread(write, *arguments)
        except PyMongoError as error:
            if time.monotonic() > deadline:
                log.exception("MongoDB stays away: this end is not in the run's document")
                return
            log.warning("MongoDB is away, writing again: %s", error)
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            return

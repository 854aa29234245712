"""The repository of a server: opened at its first use, and while the database is away, at the next."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

import asyncpg

from include.flywheel.errors import ConfigError
from include.flywheel.feedback.pool import AWAY, open_pool
from include.flywheel.feedback.repository import FeedbackRepository
from include.stores.feedback import FeedbackPlace, find_place

log = logging.getLogger(__name__)

_FOLD_SECONDS = 0.25


class Feedback:
    """Where endpoints get the repository, and exports the place."""

    def __init__(self, find: Callable[[], FeedbackPlace] = find_place) -> None:
        self._find = find
        self._place: FeedbackPlace | None = None
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()
        self.repository: FeedbackRepository | None = None
        self.export_turn = asyncio.Lock()

    async def open(self) -> FeedbackRepository:
        """The repository. Raises ConfigError, asyncpg's errors, OSError."""
        if self.repository is not None:
            return self.repository
        async with self._opening:
            if self.repository is None:
                self._pool = await open_pool((await self.place()).dsn)
                self.repository = FeedbackRepository(self._pool)
            return self.repository

    async def place(self) -> FeedbackPlace:
        """Where the database is; asked for once, away from the event loop. Raises ConfigError."""
        if self._place is None:
            self._place = await asyncio.to_thread(self._find)
        return self._place

    async def close(self) -> None:
        """Close the pool, once what is under way has ended."""
        pool, self._pool, self.repository = self._pool, None, None
        if pool is not None:
            await pool.close()

    async def keep_folded(self) -> None:
        """Add to the rollups what was written, often, so that no statistics have much to add.

        Runs until it is cancelled; several servers may do it at once.
        """
        while True:
            try:
                await (await self.open()).fold()
            except (*AWAY, ConfigError) as error:
                log.warning("rollups wait for the feedback database: %s: %s", type(error).__name__, error)
            await asyncio.sleep(_FOLD_SECONDS)

    @contextlib.asynccontextmanager
    async def serving(self):  # type: ignore[no-untyped-def]
        """Open while a server runs."""
        folding = asyncio.create_task(self.keep_folded())
        try:
            yield
        finally:
            folding.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await folding
            await self.close()

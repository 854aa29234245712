"""Feedback in PostgreSQL. Every method raises asyncpg's errors, or OSError, where the database is away."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import orjson

from include.flywheel.errors import FeedbackError, FeedbackNotFound, KeyReused
from include.flywheel.feedback import sql
from include.flywheel.feedback.models import (
    Accuracy,
    Category,
    Erasure,
    ExportNamed,
    FeedbackCreate,
    FeedbackStored,
    FeedbackUpdate,
    Receipt,
    Selection,
    Stats,
)
from include.flywheel.feedback.texts import METADATA_BYTES

FOLD_ROWS = 5_000
"""Pending changes that one transaction adds to the rollups at most."""
# A transaction of many rows can meet another in the opposite order; one of the two is then undone.
_TRIES = 5

Connection = Any
"""A connection of asyncpg, or its stand-in while it is lent out by the pool."""
_T = TypeVar("_T")


class FeedbackRepository:
    """What the API and the commands do with feedback."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def submit(
        self, feedback: FeedbackCreate, *, key: str | None = None, scope: str = ""
    ) -> tuple[Receipt, bool]:
        """Store a row; whether it is new.

        The same `key` of the same `scope` (a caller) stores one row, however often and at once it comes.
        Raises KeyReused where it came with another body.
        """
        digest = None if key is None else _digest(feedback)
        values = [getattr(feedback, name) for name in sql.FIELDS]
        while True:
            row = await self._pool.fetchrow(sql.SUBMIT, *values, None if key is None else scope, key, digest)
            if row is not None:
                return _receipt(row), True
            found = await self._pool.fetchrow(sql.SUBMITTED, scope, key)
            # None: deleted between the two statements.
            if found is not None:
                if bytes(found["request_digest"]) != digest:
                    raise KeyReused(
                        f"`Idempotency-Key` = {key!r} came with another body before (feedback "
                        f"{found['feedback_id']}): choose a new key for each submission"
                    )
                return _receipt(found), False

    async def get(self, feedback_id: UUID, project: str | None = None) -> FeedbackStored:
        """A row; `project`: of that one only. Raises FeedbackNotFound."""
        row = await self._pool.fetchrow(sql.GET, feedback_id, project)
        if row is None:
            raise _not_found(feedback_id)
        return FeedbackStored.model_construct(**dict(row))

    async def update(self, feedback_id: UUID, changes: FeedbackUpdate, project: str | None = None) -> Receipt:
        """Change what `changes` sets. Raises FeedbackNotFound, or FeedbackError: too large a metadata."""
        fields = [name for name in FeedbackUpdate.model_fields if name in changes.model_fields_set]
        values = [getattr(changes, name) for name in fields]
        if "metadata" in fields:
            values.append(METADATA_BYTES)
        row = await self._pool.fetchrow(sql.update(fields), feedback_id, project, *values)
        if row is not None:
            return _receipt(row)
        if "metadata" in fields:
            size = await self._pool.fetchval(sql.METADATA_SIZE, feedback_id, project, changes.metadata)
            if size is not None and size > METADATA_BYTES:
                raise FeedbackError(
                    f"`metadata` would have {size} bytes after merging; {METADATA_BYTES} are allowed: "
                    "send less"
                )
        raise _not_found(feedback_id)

    async def delete(self, feedback_id: UUID, project: str | None = None) -> None:
        """Delete a row. Raises FeedbackNotFound."""
        if await self._pool.fetchval(sql.DELETE, feedback_id, project) is None:
            raise _not_found(feedback_id)

    async def accuracy(self, selection: Selection) -> list[Accuracy]:
        """The counters now, by model, intent and project."""
        statement, values = sql.accuracy(selection)
        return [
            Accuracy.model_construct(
                **dict(row)
                | {
                    "intent": row["intent"] or None,
                    "project": row["project"] or None,
                    "accuracy_percentage": float(row["accuracy_percentage"]),
                }
            )
            for row in await self._pool.fetch(statement, *values)
        ]

    async def stats(self, selection: Selection, days: int) -> Stats:
        """Counts since `days` days ago, exact, users and sessions too."""
        statement, values = sql.stats(selection)
        async with self._pool.acquire() as connection:
            await _fold(connection)
            rows = await connection.fetch(statement, days, *values)
        counted = [row for row in rows if row["kind"] == "category"]
        people = {row["name"]: row["positive"] for row in rows if row["kind"] == "people"}
        positive = sum(row["positive"] for row in counted)
        negative = sum(row["negative"] for row in counted)
        total = positive + negative
        categories = {row["name"]: row["positive"] + row["negative"] for row in counted if row["name"]}
        return Stats(
            total_feedback=total,
            positive_count=positive,
            negative_count=negative,
            positive_percentage=round(100 * positive / total, 2) if total else 0.0,
            avg_memory_used=float(sum(row["memory_used"] for row in counted) / total) if total else 0.0,
            unique_users=people.get("user", 0),
            unique_sessions=people.get("session", 0),
            category_counts={one.value: categories[one] for one in Category if categories.get(one)},
            days=days,
            filters=selection.model_dump(exclude_none=True),
        )

    async def erase_user(self, user_id: str, project: str | None = None) -> Erasure:
        """Delete what a user submitted, from table and rollups; the files that still hold some of it."""

        async def erase(connection: Connection) -> Erasure:
            done = await connection.execute(sql.ERASE, user_id, project)
            await _fold(connection)
            files = await connection.fetch(sql.EXPORTS_OF_USER, user_digest(user_id), project)
            return Erasure(
                deleted=int(done.rpartition(" ")[2]), exports=[ExportNamed(**dict(row)) for row in files]
            )

        return await self._in_transaction(erase)

    async def archive_before(
        self,
        before: datetime,
        write: Callable[[list[FeedbackStored]], Awaitable[None]],
        *,
        batch_rows: int = 1_000,
    ) -> int:
        """Hand rows older than `before` to `write`, oldest first, and delete them; how many they were.

        A batch is deleted once `write` has returned, so it must return only when its rows are safe; where the
        deletion fails then, they are handed over again. Archived rows are deleted rows: they count no more in
        the accuracy, the view and the statistics.
        """
        archived = 0

        async def one_batch(connection: Connection) -> int:
            rows = await connection.fetch(sql.OLD, before, batch_rows)
            if rows:
                await write([FeedbackStored.model_construct(**dict(row)) for row in rows])
                await connection.execute(sql.DELETE_BY_ID, [row["id"] for row in rows])
            return len(rows)

        while moved := await self._in_transaction(one_batch):
            archived += moved
        await self.fold()
        return archived

    async def refresh(self) -> None:
        """Fold what is pending and refresh the view `model_accuracy_by_intent`."""
        await self.fold()
        await self._pool.execute(sql.REFRESH)

    async def fold(self) -> int:
        """Add all pending changes to the rollups; how many they were."""
        async with self._pool.acquire() as connection:
            return await _fold(connection)

    async def ping(self) -> int:
        """The number of migrations that are applied: the database answers."""
        return int(await self._pool.fetchval(sql.PING))

    async def find_key(self, digest: bytes) -> tuple[int, str, str | None] | None:
        """Id, name and project of the API key with that SHA-256, if it is valid."""
        row = await self._pool.fetchrow(sql.KEY, digest)
        return None if row is None else (row["key_id"], row["name"], row["project"])

    async def _in_transaction(self, work: Callable[[Connection], Awaitable[_T]]) -> _T:
        for tries_left in reversed(range(_TRIES)):
            try:
                async with self._pool.acquire() as connection, connection.transaction():
                    return await work(connection)
            except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError):
                if not tries_left:
                    raise
                await asyncio.sleep(0)
        raise AssertionError


async def _fold(connection: Connection) -> int:
    folded = 0
    while True:
        some: int = await connection.fetchval(sql.FOLD, FOLD_ROWS)
        folded += some
        if some < FOLD_ROWS:
            return folded


def user_digest(user_id: str) -> bytes:
    """SHA-256 of a user's id, which names the user in `feedback_export_users`."""
    return hashlib.sha256(user_id.encode()).digest()


def _digest(feedback: FeedbackCreate) -> bytes:
    values = feedback.model_dump(mode="json")
    return hashlib.sha256(orjson.dumps(values, option=orjson.OPT_SORT_KEYS)).digest()


def _receipt(row: asyncpg.Record) -> Receipt:
    return Receipt.model_construct(
        status="success",
        feedback_id=row["feedback_id"],
        id=row["id"],
        timestamp=row["timestamp"],
        rating=row["rating"],
        model=row["model"],
    )


def _not_found(feedback_id: UUID) -> FeedbackNotFound:
    return FeedbackNotFound(f"no feedback {feedback_id}: it does not exist, or it is not yours to see")

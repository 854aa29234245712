"""Idempotency keys: a request that is sent again gets the first answer, and starts nothing."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ConfigDict
from pymongo import ASCENDING
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from include.flywheel.errors import FlywheelError, StateError
from include.flywheel.runs.documents import now

COLLECTION = "idempotency_keys"


class IdempotencyConflict(FlywheelError):
    """A key that the caller has used for another request."""


class Claim(BaseModel):
    """Who came first with a key: the digest of the request's body, and the run that it starts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    body_digest: str
    run_id: str
    created_at: str


class IdempotencyKeys:
    """The collection `idempotency_keys`: one document for each caller and key, neither of which it shows."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self._keys = database[COLLECTION]

    def ensure_indexes(self) -> None:
        """Create what removal by age needs; `_id` is unique by itself. Safe to repeat."""
        self._keys.create_index([("created_at", ASCENDING)])

    def claim(self, caller: str, key: str, body_digest: str, run_id: str) -> Claim:
        """The claim of whoever came first: this one, or an earlier one with the same body.

        Raises IdempotencyConflict where the earlier one had another body.
        """
        identity = _identity(caller, key)
        mine = Claim(body_digest=body_digest, run_id=run_id, created_at=now())
        with suppress(DuplicateKeyError):
            self._keys.insert_one({"_id": identity, **mine.model_dump()})
        found = self._keys.find_one({"_id": identity})
        if found is None:
            raise StateError("the idempotency key was removed while it was claimed: send the request again")
        found.pop("_id")
        first = Claim.model_validate(found)
        if first.body_digest != body_digest:
            raise IdempotencyConflict(
                f"the idempotency key {key!r} was used for another request at {first.created_at}: send a new "
                "key, or the same body"
            )
        return first

    def count_before(self, moment: str) -> int:
        """How many claims are older (ISO 8601 in UTC)."""
        return self._keys.count_documents({"created_at": {"$lt": moment}})

    def forget_before(self, moment: str) -> int:
        """Remove the claims that are older (ISO 8601 in UTC); returns how many."""
        return self._keys.delete_many({"created_at": {"$lt": moment}}).deleted_count


def _identity(caller: str, key: str) -> str:
    """Of both, whatever characters they hold."""
    return hashlib.sha256(json.dumps([caller, key]).encode()).hexdigest()

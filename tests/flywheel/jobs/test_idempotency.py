"""Who comes first with a key wins, whoever comes second learns it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pymongo.database import Database

from include.flywheel.jobs.idempotency import COLLECTION, IdempotencyConflict, IdempotencyKeys


@pytest.fixture
def keys(mongo_database: Database[dict[str, Any]]) -> IdempotencyKeys:
    made = IdempotencyKeys(mongo_database)
    made.ensure_indexes()
    return made


def test_the_same_request_gets_the_first_claim(keys: IdempotencyKeys) -> None:
    first = keys.claim("ann", "k", "digest", "run-1")
    assert keys.claim("ann", "k", "digest", "run-2") == first
    assert first.run_id == "run-1"


def test_another_body_is_refused(keys: IdempotencyKeys) -> None:
    keys.claim("ann", "k", "digest", "run-1")
    with pytest.raises(IdempotencyConflict, match="send a new key"):
        keys.claim("ann", "k", "other", "run-2")


@pytest.mark.parametrize(("caller", "key"), [("bob", "k"), ("ann", "k2"), ("an", "nk"), ("ann\0k", "")])
def test_keys_are_the_callers_own(keys: IdempotencyKeys, caller: str, key: str) -> None:
    keys.claim("ann", "k", "digest", "run-1")
    assert keys.claim(caller, key, "other", "run-2").run_id == "run-2"


def test_of_many_at_once_one_wins(keys: IdempotencyKeys) -> None:
    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(lambda n: keys.claim("ann", "k", "digest", f"run-{n}"), range(24)))
    assert len({claim.run_id for claim in claims}) == 1


def test_what_is_stored_shows_neither_caller_nor_key(
    keys: IdempotencyKeys, mongo_database: Database[dict[str, Any]]
) -> None:
    keys.claim("ann", "secret-key", "digest", "run-1")
    [stored] = mongo_database[COLLECTION].find({})
    assert "ann" not in str(stored)
    assert "secret-key" not in str(stored)


def test_old_claims_are_forgotten(keys: IdempotencyKeys) -> None:
    keys.claim("ann", "k", "digest", "run-1")
    assert keys.forget_before("2020-01-01T00:00:00.000+00:00") == 0
    assert keys.forget_before("2999-01-01T00:00:00.000+00:00") == 1
    assert keys.claim("ann", "k", "other", "run-2").run_id == "run-2"

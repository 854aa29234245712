"""The ledger of the leases in MongoDB: one document, changed by compare-and-set on its version.

The ledger is one JSON string, for the embedded server changes scalars only as MongoDB does. A process that
is killed at any point leaves the ledger as it was, or as it should become.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pydantic import ValidationError
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from include.flywheel.errors import StateError
from include.flywheel.runs.documents import now
from include.flywheel.runs.leases import rules
from include.flywheel.runs.leases.model import Lease, LeaseAnswer, LeaseKind, LeaseRequest, Ledger, Waiting

_ID = "gpus"
# A lost compare-and-set means that another one was won, so this many in a row are not bad luck.
_MOST_ATTEMPTS = 200
_JITTER_SECONDS = 0.02


class LeaseRepository:
    """The leases of one installation, for all its runs. Whoever writes grants for all that wait."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self._ledgers = database["leases"]

    def ensure_indexes(self) -> None:
        """Write the empty ledger where there is none; safe to repeat."""
        empty = {"_id": _ID, "version": 0, "state": Ledger().model_dump_json()}
        with suppress(DuplicateKeyError):
            self._ledgers.insert_one(empty)

    def take(self, request: LeaseRequest) -> LeaseAnswer:
        """Ask for GPUs; ask again until they are granted. A question that changes nothing writes nothing.

        Raises LeaseRefused when it can never be granted: more GPUs than there are, or a NIM that was closed.
        """
        return rules.answer(self._change(lambda ledger: rules.ask(ledger, request, now())), request)

    def release(
        self, job_id: str, slug: str, kind: LeaseKind | None = None, up_to_try: int | None = None
    ) -> bool:
        """Give back what a NIM holds and drop what it waits for, of one kind or of both.

        `up_to_try`: what a later try has asked stays; who comes late must not take it away. Returns whether
        anything was held.
        """
        held = False

        def gone(one: LeaseRequest) -> bool:
            mine = one.nim == (job_id, slug) and kind in {None, one.kind}
            return mine and (up_to_try is None or one.try_number <= up_to_try)

        def drop(ledger: Ledger) -> Ledger:
            nonlocal held
            held = any(gone(lease) for lease in ledger.leases)
            return rules.drop(ledger, gone)

        self._change(drop)
        return held

    def close(self, job_id: str, slug: str, try_number: int) -> None:
        """Release both kinds, and refuse what the tries up to `try_number` ask from now on."""
        self._change(lambda ledger: rules.close(ledger, job_id, slug, try_number, now()))

    def forget(self, job_id: str) -> None:
        """Release everything of a run, and forget which of its NIMs were closed.

        For runs that are over for long: what still waits for them somewhere could take GPUs again.
        """
        self._change(lambda ledger: rules.forget(ledger, lambda one: one == job_id))

    def held(self) -> list[Lease]:
        """The leases, as they were granted."""
        return list(self._read()[1].leases)

    def waiting(self) -> list[Waiting]:
        """The requests that wait, as they were asked."""
        return list(self._read()[1].waiting)

    def _change(self, change: Callable[[Ledger], Ledger]) -> Ledger:
        for _ in range(_MOST_ATTEMPTS):
            version, ledger = self._read()
            changed = rules.settle(change(ledger), now())
            if changed == ledger:
                return ledger
            done = self._ledgers.update_one(
                {"_id": _ID, "version": version},
                {"$set": {"version": version + 1, "state": changed.model_dump_json()}},
            )
            if done.modified_count == 1:
                return changed
            time.sleep(random.uniform(0, _JITTER_SECONDS))
        raise StateError(
            f"the ledger of the GPU leases changed {_MOST_ATTEMPTS} times while it was read: retry"
        )

    def _read(self) -> tuple[int, Ledger]:
        found = self._ledgers.find_one({"_id": _ID})
        if found is None:
            self.ensure_indexes()
            return self._read()
        try:
            return found["version"], Ledger.model_validate_json(found["state"])
        except ValidationError as error:
            raise StateError(
                f"the document {_ID!r} in the collection `leases` is not a ledger: "
                f"delete it when no run is live ({error.error_count()} errors in it)"
            ) from error

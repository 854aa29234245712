"""NIMs that runs share: deployed for the first that needs one, taken down when the last has left.

One document for each, changed by compare-and-set on its version; the state is one JSON string, for the
embedded server changes scalars only as MongoDB does. Each time that a NIM is deployed anew is a *generation*
with a deployment name of its own: whoever comes late with the removal of an earlier one harms nobody.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from include.flywheel.errors import StateError
from include.flywheel.runs import ids
from include.flywheel.runs.documents import now

COLLECTION = "shared_nims"

LEASE_OWNER = "shared"
"""Stands where the job id of a run stands, for the GPUs of a NIM that belongs to no run."""

# A lost compare-and-set means that another one was won.
_MOST_ATTEMPTS = 200
_JITTER_SECONDS = 0.02


class SharedNim(BaseModel):
    """One NIM for one purpose, and the runs that use it: job ids, each with when it joined (ISO 8601, UTC).

    `closing`: its last user has left, and its deployment is going.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    purpose: str
    model: str
    generation: int = 1
    users: dict[str, str] = Field(default_factory=dict)
    closing: bool = False

    @property
    def key(self) -> str:
        """Its id among the shared NIMs, and among the leases."""
        return f"{self.purpose}/{self.model}"

    @property
    def deployment(self) -> str:
        """Name of the deployment of this generation."""
        return ids.shared_deployment(self.purpose, self.model.replace("/", "-"), self.generation)


class SharedNims:
    """The NIMs that runs of one installation share."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self._documents = database[COLLECTION]

    def join(self, purpose: str, model: str, job_id: str) -> SharedNim | None:
        """The run uses it from now on, however often this is called.

        None while what another run has used is being taken down: ask again.
        """

        def joined(nim: SharedNim) -> SharedNim:
            if nim.closing or job_id in nim.users:
                return nim
            return nim.model_copy(update={"users": nim.users | {job_id: now()}})

        nim = self._change(SharedNim(purpose=purpose, model=model), joined)
        return nim if job_id in nim.users else None

    def leave(self, purpose: str, model: str, job_id: str) -> SharedNim:
        """The run uses it no more. The last one has to take it down, and say `closed` then."""

        def left(nim: SharedNim) -> SharedNim:
            if job_id not in nim.users:
                return nim
            users = {one: since for one, since in nim.users.items() if one != job_id}
            return nim.model_copy(update={"users": users, "closing": not users})

        return self._change(SharedNim(purpose=purpose, model=model), left)

    def closed(self, nim: SharedNim) -> None:
        """Nothing of that generation is there any more: the next one may begin."""

        def done(known: SharedNim) -> SharedNim:
            if known.generation != nim.generation or not known.closing:
                return known
            return known.model_copy(update={"generation": known.generation + 1, "closing": False})

        self._change(nim, done)

    def all(self) -> list[SharedNim]:
        """Those that are used, or going."""
        known = [SharedNim.model_validate_json(one["state"]) for one in self._documents.find({})]
        return sorted((nim for nim in known if nim.users or nim.closing), key=lambda nim: nim.key)

    def used_by(self, job_id: str) -> list[SharedNim]:
        """Those that the run uses."""
        return [nim for nim in self.all() if job_id in nim.users]

    def _change(self, new: SharedNim, change: Callable[[SharedNim], SharedNim]) -> SharedNim:
        for _ in range(_MOST_ATTEMPTS):
            found = self._documents.find_one({"_id": new.key})
            if found is None:
                first = {"_id": new.key, "version": 0, "state": new.model_dump_json()}
                with suppress(DuplicateKeyError):
                    self._documents.insert_one(first)
                continue
            known = SharedNim.model_validate_json(found["state"])
            changed = change(known)
            if changed == known:
                return known
            done = self._documents.update_one(
                {"_id": new.key, "version": found["version"]},
                {"$set": {"version": found["version"] + 1, "state": changed.model_dump_json()}},
            )
            if done.modified_count == 1:
                return changed
            time.sleep(random.uniform(0, _JITTER_SECONDS))
        raise StateError(f"shared NIM {new.key} changed {_MOST_ATTEMPTS} times while it was read: retry")

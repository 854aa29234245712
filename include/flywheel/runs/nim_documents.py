"""The collection `run_nims`: one document for each NIM of a run."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from pymongo import ASCENDING
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from include.flywheel.errors import StateError
from include.flywheel.runs import indexes
from include.flywheel.runs.documents import LeaseTimes, NimDocument, now
from include.flywheel.runs.run_documents import RunDocuments, due_again, live_before
from include.flywheel.runs.states import NimStatus, StageName, StageStatus

_UNDONE_BY_UNDEPLOY = {StageName.DEPLOY, StageName.ADAPTER}


class NimDocuments(RunDocuments):
    """What is asked of, and written into, the documents of NIMs; and all of the runs'."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        super().__init__(database)
        self._nims = database[indexes.NIMS]

    def open_nims(self, documents: Iterable[NimDocument]) -> None:
        """Insert the NIMs of a run that are not written down yet."""
        for document in documents:
            with suppress(DuplicateKeyError):
                self._nims.insert_one(document.model_dump(mode="json"))

    def nim(self, job_id: str, slug: str) -> NimDocument:
        """One NIM of a run. Raises StateError when there is none."""
        found = self._nims.find_one({"job_id": job_id, "slug": slug})
        if found is None:
            raise StateError(f"run {job_id!r} has no NIM {slug!r}")
        return _nim(found)

    def nims(self, job_id: str) -> list[NimDocument]:
        """The NIMs of a run in the order of its configuration."""
        return [_nim(found) for found in self._nims.find({"job_id": job_id}).sort("order", ASCENDING)]

    def update_nim(self, job_id: str, slug: str, **fields: Any) -> None:
        """Set top-level fields of a NIM."""
        self._nims.update_one({"job_id": job_id, "slug": slug}, {"$set": fields})

    def set_nim_status(self, job_id: str, slug: str, status: NimStatus, **fields: Any) -> bool:
        """Move a NIM on, never back, unless it is over already. Returns whether anything changed."""
        done = self._nims.update_one(
            {"job_id": job_id, "slug": slug, "status": {"$in": live_before(status)}},
            {"$set": {"status": status.value, **fields}},
        )
        return done.modified_count == 1

    def begin_nim_pass(self, job_id: str, slug: str, number: int) -> bool:
        """The same for one NIM: what it has completed stays, what failed or was taken down is due again.

        Attempts and remote ids stay, so that a submit looks the earlier job up.
        """
        document = self.nim(job_id, slug)
        if document.pass_number >= number:
            return False
        due = {
            f"stages.{name.value}": due_again(one)
            for name, one in document.stages.items()
            if one.status is not StageStatus.COMPLETED or name in _UNDONE_BY_UNDEPLOY
        }
        done = self._nims.update_one(
            {"job_id": job_id, "slug": slug, "pass_number": document.pass_number},
            {
                "$set": {
                    **due,
                    "pass_number": number,
                    "status": NimStatus.PENDING.value,
                    "error": None,
                    "undeployed_at": None,
                    "leases": {},
                }
            },
        )
        return done.modified_count == 1

    def close_nim(self, job_id: str, slug: str, number: int) -> None:
        """The NIM is being taken down in this pass: nothing of it is submitted any more."""
        self._nims.update_one(
            {"job_id": job_id, "slug": slug, "closed_pass": {"$lt": number}},
            {"$set": {"closed_pass": number}},
        )

    def ask_lease(self, job_id: str, slug: str, kind: str, gpus: int) -> None:
        """The NIM asks for GPUs now, unless that is written down already."""
        asked = LeaseTimes(gpus=gpus, asked_at=now()).model_dump(mode="json")
        path = f"leases.{kind}"
        self._nims.update_one({"job_id": job_id, "slug": slug, path: None}, {"$set": {path: asked}})

    def set_lease(self, job_id: str, slug: str, kind: str, **fields: str | None) -> None:
        """Set times, or the reason to wait, of a lease that was asked for; a time that is set stays."""
        for key, value in fields.items():
            path = f"leases.{kind}"
            query: dict[str, Any] = {"job_id": job_id, "slug": slug, f"{path}.gpus": {"$exists": True}}
            if key.endswith("_at"):
                query[f"{path}.{key}"] = None
            self._nims.update_one(query, {"$set": {f"{path}.{key}": value}})


def _nim(found: dict[str, Any]) -> NimDocument:
    found.pop("_id", None)
    return NimDocument.model_validate(found)

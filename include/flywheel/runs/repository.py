"""Run documents in MongoDB. Every write is one atomic update; nothing is read, changed and written back.

Only operations that MongoDB and the embedded server agree on: `$set`, `$push`, `$inc`, compare-and-set by
`find_one_and_update` on scalars, unique indexes.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from pymongo import ASCENDING, DESCENDING
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from include.flywheel.errors import StateError
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.runs.documents import NimDocument, RunDocument, Stage, now
from include.flywheel.runs.states import NimStatus, RunStatus, StageName, StageStatus

# Stands where the slug of a NIM stands, for the production model that answers again.
REFERENCE = "reference"

_LIVE = [RunStatus.PENDING.value, RunStatus.RUNNING.value]


class RunRepository:
    """The collections `runs`, `run_nims` and `item_scores`."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self._runs = database["runs"]
        self._nims = database["run_nims"]
        self._scores = database["item_scores"]

    def ensure_indexes(self) -> None:
        """Create what the queries need; safe to repeat."""
        self._runs.create_index([("job_id", ASCENDING)], unique=True)
        self._runs.create_index(
            [("client_id", ASCENDING), ("workload_id", ASCENDING), ("created_at", DESCENDING)]
        )
        self._nims.create_index([("job_id", ASCENDING), ("slug", ASCENDING)], unique=True)
        self._scores.create_index(
            [("job_id", ASCENDING), ("slug", ASCENDING), ("stage", ASCENDING)], unique=True
        )

    # The run

    def open(self, document: RunDocument) -> RunDocument:
        """Insert the run, or return it as it stands when it was opened before."""
        with suppress(DuplicateKeyError):
            self._runs.insert_one(document.model_dump(mode="json"))
        return self.get(document.job_id)

    def get(self, job_id: str) -> RunDocument:
        """The run. Raises StateError when there is none."""
        found = self._runs.find_one({"job_id": job_id})
        if found is None:
            raise StateError(f"no run {job_id!r} is written down; its first task creates the document")
        return _run(found)

    def find(self, job_id: str) -> RunDocument | None:
        """The run, or None."""
        found = self._runs.find_one({"job_id": job_id})
        return None if found is None else _run(found)

    def update(self, job_id: str, **fields: Any) -> None:
        """Set top-level fields (JSON-able values) of the run."""
        self._runs.update_one({"job_id": job_id}, {"$set": fields})

    def note(self, job_id: str, text: str) -> None:
        """Append an event. A plain string: the embedded server turns documents in `$push` to strings."""
        self._runs.update_one({"job_id": job_id}, {"$push": {"events": f"{now()} {text}"}})

    def set_status(self, job_id: str, status: RunStatus, **fields: Any) -> bool:
        """Move the run on, never back, unless it is over already. Returns whether anything changed."""
        done = self._runs.update_one(
            {"job_id": job_id, "status": {"$in": _may_become(status)}},
            {"$set": {"status": status.value, **fields}},
        )
        return done.modified_count == 1

    def request_cancel(self, job_id: str) -> bool:
        """Note when somebody asked for the end; the first time counts, and only while the run is live."""
        done = self._runs.update_one(
            {"job_id": job_id, "status": {"$in": _LIVE}, "cancel_requested_at": None},
            {"$set": {"cancel_requested_at": now()}},
        )
        return done.modified_count == 1

    def recent(self, *, client_id: str | None = None, limit: int = 20) -> list[RunDocument]:
        """Runs, newest first."""
        query = {} if client_id is None else {"client_id": client_id}
        return [_run(found) for found in self._runs.find(query).sort("created_at", DESCENDING).limit(limit)]

    # The NIMs

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
            {"job_id": job_id, "slug": slug, "status": {"$in": _may_become(status)}},
            {"$set": {"status": status.value, **fields}},
        )
        return done.modified_count == 1

    def stage(self, job_id: str, slug: str, stage: StageName) -> Stage:
        """One stage as it is written down; a fresh one when nothing is yet.

        Raises StateError without its run or NIM.
        """
        if slug == REFERENCE:
            reference = self.get(job_id).reference
            return reference.stage if reference else Stage()
        return self.nim(job_id, slug).stages.get(stage, Stage())

    def set_stage(self, job_id: str, slug: str, stage: StageName, **fields: Any) -> None:
        """Set fields of one stage."""
        collection, query, path = self._place(job_id, slug, stage)
        collection.update_one(query, {"$set": {f"{path}.{key}": value for key, value in fields.items()}})

    def set_live_stage(self, job_id: str, slug: str, stage: StageName, **fields: Any) -> bool:
        """The same, unless the stage is over already: what a late observer says changes no end."""
        collection, query, path = self._place(job_id, slug, stage)
        over = [s.value for s in StageStatus if s.is_over]
        done = collection.update_one(
            {**query, f"{path}.status": {"$nin": over}},
            {"$set": {f"{path}.{key}": value for key, value in fields.items()}},
        )
        return done.modified_count == 1

    def raise_attempt(self, job_id: str, slug: str, stage: StageName, seen: int) -> bool:
        """Compare-and-set of the attempt number from `seen` to the next; a fresh stage. Returns who won."""
        collection, query, path = self._place(job_id, slug, stage)
        fresh = Stage(attempt=seen + 1).model_dump(mode="json")
        done = collection.update_one({**query, f"{path}.attempt": seen}, {"$set": {path: fresh}})
        return done.modified_count == 1

    def _place(
        self, job_id: str, slug: str, stage: StageName
    ) -> tuple[Collection[dict[str, Any]], dict[str, Any], str]:
        if slug == REFERENCE:
            return self._runs, {"job_id": job_id}, "reference.stage"
        return self._nims, {"job_id": job_id, "slug": slug}, f"stages.{stage.value}"

    # Per-item scores

    def save_scores(self, job_id: str, slug: str, scores: StageScores) -> None:
        """Keep the per-item scores of one stage; saving them again replaces them."""
        key = {"job_id": job_id, "slug": slug, "stage": scores.stage.value}
        self._scores.replace_one(key, {**key, "scores": scores.model_dump(mode="json")}, upsert=True)

    def scores(self, job_id: str) -> list[tuple[str, StageScores]]:
        """Per-item scores of a run as (slug, scores), in a stable order."""
        found = self._scores.find({"job_id": job_id}).sort([("slug", ASCENDING), ("stage", ASCENDING)])
        return [(one["slug"], StageScores.model_validate(one["scores"])) for one in found]


def _may_become(status: RunStatus | NimStatus) -> list[str]:
    """The live statuses that `status` may follow: those before it, and itself for a step that is repeated."""
    words: list[RunStatus | NimStatus] = list(type(status))
    return [word.value for word in words[: words.index(status) + 1] if not word.is_over]


def _run(found: dict[str, Any]) -> RunDocument:
    found.pop("_id", None)
    return RunDocument.model_validate(found)


def _nim(found: dict[str, Any]) -> NimDocument:
    found.pop("_id", None)
    return NimDocument.model_validate(found)

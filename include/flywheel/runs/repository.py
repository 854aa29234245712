"""Run documents in MongoDB: the collections `runs`, `run_nims` and `item_scores`.

Every write is one atomic update; nothing is read, changed and written back without comparing.
"""

from __future__ import annotations

from typing import Any

from pymongo import ASCENDING
from pymongo.collection import Collection
from pymongo.database import Database

from include.flywheel.evaluation.scores import StageScores
from include.flywheel.runs import indexes
from include.flywheel.runs.documents import Stage
from include.flywheel.runs.nim_documents import NimDocuments
from include.flywheel.runs.states import StageName, StageStatus

# Stands where the slug of a NIM stands, for the production model that answers again.
REFERENCE = "reference"


class RunRepository(NimDocuments):
    """All of it: runs, their NIMs, the stages of these and of the reference, and per-item scores."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        super().__init__(database)
        self._scores = database[indexes.SCORES]

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

    def save_scores(self, job_id: str, slug: str, scores: StageScores) -> None:
        """Keep the per-item scores of one stage; saving them again replaces them."""
        key = {"job_id": job_id, "slug": slug, "stage": scores.stage.value}
        self._scores.replace_one(key, {**key, "scores": scores.model_dump(mode="json")}, upsert=True)

    def scores(self, job_id: str) -> list[tuple[str, StageScores]]:
        """Per-item scores of a run as (slug, scores), in a stable order."""
        found = self._scores.find({"job_id": job_id}).sort([("slug", ASCENDING), ("stage", ASCENDING)])
        return [(one["slug"], StageScores.model_validate(one["scores"])) for one in found]

"""Run documents in MongoDB: the collections `runs`, `run_nims` and `item_scores`.

Every write is one atomic update; nothing is read, changed and written back without comparing.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from pymongo import ASCENDING
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from include.flywheel.evaluation.judging.judgement import Judgement
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import Stage as EvaluatedStage
from include.flywheel.runs import indexes
from include.flywheel.runs.documents import Stage
from include.flywheel.runs.nim_documents import NimDocuments
from include.flywheel.runs.search import RunSearch
from include.flywheel.runs.states import StageName, StageStatus

# Stands where the slug of a NIM stands, for the production model that answers again.
REFERENCE = "reference"


class RunRepository(NimDocuments, RunSearch):
    """All of it: runs and lists of them, their NIMs, the stages of these and of the reference, and per-item
    scores.
    """

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
        self._keep(job_id, slug, scores.stage, "scores", scores.model_dump(mode="json"))

    def save_judgement(self, job_id: str, slug: str, stage: EvaluatedStage, judgement: Judgement) -> None:
        """Keep a judge's grades of one stage beside its scores, so that nobody asks for them again."""
        self._keep(job_id, slug, stage, "judgement", judgement.model_dump(mode="json"))

    def judgement(self, job_id: str, slug: str, stage: EvaluatedStage) -> Judgement | None:
        """The judge's grades of one stage, as far as they are kept."""
        found = self._scores.find_one({"job_id": job_id, "slug": slug, "stage": stage.value})
        return None if found is None else _judgement(found)

    def judgements(self, job_id: str) -> list[Judgement]:
        """The judge's grades of every stage of a run that has some."""
        found = self._scores.find({"job_id": job_id})
        return [kept for one in found if (kept := _judgement(one)) is not None]

    def set_part(self, job_id: str, part: str, **fields: Any) -> None:
        """Set fields of a part of the run that names a model, such as `judge`, if there is one."""
        self._runs.update_one(
            {"job_id": job_id, f"{part}.model": {"$gt": ""}},
            {"$set": {f"{part}.{key}": value for key, value in fields.items()}},
        )

    def _keep(self, job_id: str, slug: str, stage: EvaluatedStage, part: str, value: dict[str, Any]) -> None:
        key = {"job_id": job_id, "slug": slug, "stage": stage.value}
        with suppress(DuplicateKeyError):
            self._scores.insert_one(dict(key))
        self._scores.update_one(key, {"$set": {part: value}})

    def scores(self, job_id: str) -> list[tuple[str, StageScores]]:
        """Per-item scores of a run as (slug, scores), in a stable order."""
        found = self._scores.find({"job_id": job_id}).sort([("slug", ASCENDING), ("stage", ASCENDING)])
        kept = [one for one in found if one.get("scores")]
        return [(one["slug"], StageScores.model_validate(one["scores"])) for one in kept]


def _judgement(found: dict[str, Any]) -> Judgement | None:
    kept = found.get("judgement")
    return None if kept is None else Judgement.model_validate(kept)

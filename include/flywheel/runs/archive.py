"""Runs that need attention or have grown old, and the end of a run's documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pymongo import DESCENDING
from pymongo.database import Database

from include.flywheel.runs.documents import RunDocument, now
from include.flywheel.runs.states import RunStatus

_LIVE = [one.value for one in RunStatus if not one.is_over]
_OVER = [one.value for one in RunStatus if one.is_over]


@dataclass(frozen=True)
class RunName:
    """What a run is called, and since when it is written down (ISO 8601 in UTC).

    Less than its document, which another version may have written.
    """

    job_id: str
    dag_id: str
    run_id: str
    created_at: str


class RunArchive:
    """The collections `runs`, `run_nims`, `item_scores` and `champions`, as the clean-up sees them.

    A document in `champions` names its run in `job_id`.
    """

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self._runs, self._champions = database["runs"], database["champions"]
        self._parts = [database["item_scores"], database["run_nims"]]

    def is_empty(self) -> bool:
        """Whether no run at all is written down."""
        return self._runs.find_one({}) is None

    def unfinished(self) -> list[RunName]:
        """The runs that are not over, or of which something may still run."""
        queries: list[dict[str, Any]] = [
            {"status": {"$in": _LIVE}},
            {"status": {"$in": _OVER}, "everything_down_at": None},
        ]
        return [name for query in queries for name in self._named(query)]

    def deletions(self) -> list[RunName]:
        """The runs whose removal was asked for and is not done."""
        return self._named({"deletion.requested_at": {"$gt": ""}})

    def over_since(self, moment: str) -> list[str]:
        """Job ids of the runs that were over, and down, before that moment (ISO 8601 in UTC)."""
        query: dict[str, Any] = {"status": {"$in": _OVER}, "finished_at": {"$lt": moment}}
        found = self._runs.find(query, {"job_id": 1, "everything_down_at": 1})
        return [one["job_id"] for one in found if one.get("everything_down_at")]

    def must_stay(self, run: RunDocument) -> bool:
        """Whether the run made a champion, or is the newest of its workload that was completed."""
        if self._champions.find_one({"job_id": run.job_id}) is not None:
            return True
        query = {
            "client_id": run.client_id,
            "workload_id": run.workload_id,
            "status": RunStatus.COMPLETED.value,
        }
        newest = list(self._runs.find(query).sort("created_at", DESCENDING).limit(1))
        return bool(newest) and newest[0]["job_id"] == run.job_id

    def _named(self, query: dict[str, Any]) -> list[RunName]:
        fields = dict.fromkeys(RunName.__dataclass_fields__, 1)
        found = self._runs.find(query, fields)
        return [RunName(**{name: str(one[name]) for name in fields}) for one in found]

    def delete(self, job_id: str) -> None:
        """Delete the run's documents, its own last, so that one that was cut short is found again.

        A champion that the run made stays, and says in `run_deleted_at` that its run is gone.
        """
        self._champions.update_many(
            {"job_id": job_id, "run_deleted_at": None}, {"$set": {"run_deleted_at": now()}}
        )
        for part in self._parts:
            part.delete_many({"job_id": job_id})
        self._runs.delete_one({"job_id": job_id})

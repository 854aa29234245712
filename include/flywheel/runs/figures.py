"""Counts over all runs, for monitoring: each from an index, none by reading every document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pymongo import ASCENDING, DESCENDING
from pymongo.database import Database

from include.flywheel.runs import indexes
from include.flywheel.runs.documents import RunDocument
from include.flywheel.runs.states import RunStatus


@dataclass(frozen=True)
class LastVerdict:
    """How the newest run of a workload that was decided ended. `created_at`: ISO 8601 in UTC."""

    client_id: str
    workload_id: str
    job_id: str
    verdict: str
    created_at: str


class RunFigures:
    """What a monitor asks of the collection `runs`."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self._runs = database[indexes.RUNS]

    def by_status(self) -> dict[RunStatus, int]:
        """How many runs have each status."""
        return {status: self._runs.count_documents({"status": status.value}) for status in RunStatus}

    def oldest_live(self) -> str | None:
        """When the oldest run that is not over was opened (ISO 8601 in UTC); None without such a run."""
        found = []
        for status in (one for one in RunStatus if not one.is_over):
            query = self._runs.find({"status": status.value}, {"created_at": 1})
            found += [one["created_at"] for one in query.sort("created_at", ASCENDING).limit(1)]
        return min(found, default=None)

    def last_verdict(self, client_id: str, workload_id: str) -> LastVerdict | None:
        """The newest verdict of a workload; None where no run of it was decided."""
        query = {
            "client_id": client_id,
            "workload_id": workload_id,
            "status": RunStatus.COMPLETED.value,
        }
        fields = {"job_id": 1, "created_at": 1, "decision": 1}
        found = list(self._runs.find(query, fields).sort("created_at", DESCENDING).limit(1))
        decision = RunDocument.from_text(found[0]["decision"]) if found else None
        if decision is None:
            return None
        return LastVerdict(
            client_id, workload_id, found[0]["job_id"], decision["verdict"], found[0]["created_at"]
        )

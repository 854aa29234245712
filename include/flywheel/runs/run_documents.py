"""The collection `runs`: one document for each run. Every write is one atomic update.

Only operations that MongoDB and the embedded server agree on: `$set`, `$push`, `$inc`, compare-and-set by
`update_one` on scalars, unique indexes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pymongo import DESCENDING
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from include.flywheel.errors import StateError
from include.flywheel.runs import indexes
from include.flywheel.runs.documents import AS_TEXT, Deletion, RunDocument, Stage, StepTimes, now
from include.flywheel.runs.states import NimStatus, RunStatus, StageStatus, StepName, may_follow

# Of the run's document, by its last tasks.
_WRITTEN_AT_THE_END = (
    "finished_at",
    "cancel_requested_at",
    "everything_down_at",
    "decision",
    "notification",
    "error",
)

_LIVE = [RunStatus.PENDING.value, RunStatus.RUNNING.value]
_OVER = [one.value for one in RunStatus if one.is_over]


class RunDocuments:
    """What is asked of, and written into, the documents of runs."""

    def __init__(self, database: Database[dict[str, Any]]) -> None:
        self._database = database
        self._runs = database[indexes.RUNS]

    def ensure_indexes(self) -> None:
        """Create what the queries need; safe to repeat."""
        indexes.ensure(self._database)

    def open(self, document: RunDocument) -> RunDocument:
        """Insert the run, or return it as it stands when it was opened before."""
        with suppress(DuplicateKeyError):
            self._runs.insert_one(stored(document.model_dump(mode="json")))
        return self.get(document.job_id)

    def get(self, job_id: str) -> RunDocument:
        """The run. Raises StateError when there is none."""
        found = self._runs.find_one({"job_id": job_id})
        if found is None:
            raise StateError(f"no run {job_id!r} is written down; its first task creates the document")
        return run_of(found)

    def find(self, job_id: str) -> RunDocument | None:
        """The run, or None."""
        found = self._runs.find_one({"job_id": job_id})
        return None if found is None else run_of(found)

    def update(self, job_id: str, **fields: Any) -> None:
        """Set top-level fields (JSON-able values) of the run."""
        self._runs.update_one({"job_id": job_id}, {"$set": stored(fields)})

    def note(self, job_id: str, text: str) -> None:
        """Append an event. A plain string: the embedded server turns documents in `$push` to strings."""
        self._runs.update_one({"job_id": job_id}, {"$push": {"events": f"{now()} {text}"}})

    def set_status(self, job_id: str, status: RunStatus, **fields: Any) -> bool:
        """Move the run on, never back, unless it is over already. Returns whether anything changed."""
        done = self._runs.update_one(
            {"job_id": job_id, "status": {"$in": live_before(status)}},
            {"$set": {"status": status.value, **stored(fields)}},
        )
        return done.modified_count == 1

    def request_cancel(self, job_id: str) -> bool:
        """Note when somebody asked for the end; the first time counts, and only while the run is live."""
        done = self._runs.update_one(
            {"job_id": job_id, "status": {"$in": _LIVE}, "cancel_requested_at": None},
            {"$set": {"cancel_requested_at": now()}},
        )
        return done.modified_count == 1

    def begin_deletion(self, job_id: str, requested_by: str, left: list[str]) -> RunDocument:
        """The run is to be removed, of which `left` is there. Who asked first stays written down.

        Raises StateError where there is no such run, and where it is live.
        """
        at = now()
        asked = Deletion(requested_at=at, requested_by=requested_by, tried_at=at, left=left)
        self._runs.update_one(
            {"job_id": job_id, "status": {"$in": _OVER}, "deletion": None},
            {"$set": {"deletion": asked.model_dump(mode="json")}},
        )
        document = self.get(job_id)
        if document.deletion is None:
            raise StateError(f"run {job_id} is {document.status.value}: cancel it first, or wait for its end")
        self._runs.update_one(
            {"job_id": job_id, "deletion.requested_at": {"$gt": ""}}, {"$set": {"deletion.tried_at": at}}
        )
        return document

    def end_deletion_try(self, job_id: str, left: list[str]) -> None:
        """What this try has left, each with the reason."""
        self._runs.update_one(
            {"job_id": job_id, "deletion.requested_at": {"$gt": ""}}, {"$set": {"deletion.left": left}}
        )

    def begin_pass(self, job_id: str, number: int) -> bool:
        """Tasks of the run were cleared: what its end had written is open again, the data set stays.

        Once for each pass, whichever task comes first. Returns whether this call was it. Raises StateError
        where the run is being removed.
        """
        document = self.find(job_id)
        if document is None or document.pass_number >= number:
            return False
        if document.deletion is not None:
            raise StateError(f"run {job_id} is being removed: start a new run")
        again: dict[str, Any] = dict.fromkeys(_WRITTEN_AT_THE_END) | {
            "winners": [],
            "notifiers": {},
            "pass_number": number,
        }
        reference = document.reference
        if reference is not None and reference.stage.status is not StageStatus.COMPLETED:
            again["reference.stage"] = due_again(reference.stage)
        done = self._runs.update_one(
            {"job_id": job_id, "pass_number": document.pass_number, "deletion": None},
            {"$set": {**again, "status": RunStatus.RUNNING.value}},
        )
        return done.modified_count == 1

    @contextmanager
    def at_step(self, job_id: str, step: StepName) -> Iterator[None]:
        """Writes down when this step of the run was at work, however it ends."""
        path = f"steps.{step.value}"
        times = StepTimes(started_at=now()).model_dump(mode="json")
        self._runs.update_one({"job_id": job_id}, {"$set": {path: times}})
        try:
            yield
        finally:
            self._runs.update_one(
                {"job_id": job_id, f"{path}.started_at": {"$exists": True}},
                {"$set": {f"{path}.finished_at": now()}},
            )

    def recent(
        self,
        *,
        client_id: str | None = None,
        workload_id: str | None = None,
        status: RunStatus | None = None,
        before: str | None = None,
        limit: int = 20,
    ) -> list[RunDocument]:
        """Runs, newest first: at most `limit` (0: all), opened earlier than `before` where it is given."""
        wanted = {"client_id": client_id, "workload_id": workload_id, "status": status}
        query: dict[str, Any] = {key: str(value) for key, value in wanted.items() if value is not None}
        if before is not None:
            query["created_at"] = {"$lt": before}
        return [run_of(found) for found in self._runs.find(query).sort("created_at", DESCENDING).limit(limit)]

    def called(self, name: str, *, limit: int = 20) -> list[RunDocument]:
        """Runs that a person may mean by `name`: a DAG run's id, or the beginning of a job id."""
        found = list(self._runs.find({"run_id": name}).sort("created_at", DESCENDING).limit(limit))
        if not found and name:
            # No job id has a character above f.
            beginning = {"$gte": name.lower(), "$lt": name.lower() + "g"}
            found = list(self._runs.find({"job_id": beginning}).limit(limit))
        return [run_of(one) for one in found]


def stored(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields of a run as they are stored: what is in AS_TEXT as JSON text."""
    return {
        name: json.dumps(value, ensure_ascii=False) if name in AS_TEXT and value is not None else value
        for name, value in fields.items()
    }


def live_before(status: RunStatus | NimStatus) -> list[str]:
    """The words of the live statuses that `status` may follow."""
    return [word.value for word in may_follow(status)]


def due_again(stage: Stage) -> dict[str, Any]:
    """A stage that has to run once more; its attempt and job stay known, so that a submit looks it up."""
    due = Stage(attempt=stage.attempt, remote_id=stage.remote_id, remote_uri=stage.remote_uri)
    return due.model_dump(mode="json")


def run_of(found: dict[str, Any]) -> RunDocument:
    """The document as MongoDB gave it."""
    found.pop("_id", None)
    return RunDocument.model_validate(found)

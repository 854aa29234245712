"""Lists of runs: one page at a time, which what is opened meanwhile neither repeats nor shifts."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator
from pymongo import ASCENDING, DESCENDING

from include.flywheel.errors import StateError
from include.flywheel.runs.documents import RunDocument
from include.flywheel.runs.ids import sort_key
from include.flywheel.runs.run_documents import RunDocuments
from include.flywheel.runs.states import RunStatus

MAX_LIMIT = 200
_MARK = "v1:"
# In no digit of a moment and no job id; above all of them.
_LAST = "~"


class Sort(StrEnum):
    """By when the run was opened."""

    NEWEST = "newest"
    OLDEST = "oldest"


class RunQuery(BaseModel):
    """Which runs, in which order, and from where on. Times without a zone are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = 50
    cursor: str | None = Field(default=None, max_length=200, description="`next_cursor` of the page before.")
    client_id: str | None = None
    workload_id: str | None = None
    status: RunStatus | None = None
    created_after: AwareDatetime | None = Field(default=None, description="Opened then or later.")
    created_before: AwareDatetime | None = Field(default=None, description="Opened earlier than that.")
    sort: Sort = Sort.NEWEST
    permitted: tuple[str, ...] | None = Field(
        default=None, description="`workload_dag_id`s of the runs that may be seen; None: all."
    )

    @field_validator("cursor")
    @classmethod
    def _check_cursor(cls, cursor: str | None) -> str | None:
        if cursor is not None and _opened(cursor) is None:
            raise ValueError("it is no cursor: give `next_cursor` of the page before, or none")
        return cursor

    @model_validator(mode="after")
    def _check_times(self) -> Self:
        after, before = self.created_after, self.created_before
        if after is not None and before is not None and after >= before:
            raise ValueError("`created_after` is not before `created_before`: no run can be between them")
        return self


class RunSummary(BaseModel):
    """What a list shows of a run: the fields of the same names in its document."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    job_id: str
    dag_id: str
    run_id: str
    client_id: str
    workload_id: str
    workload_dag_id: str
    sort_key: str
    status: RunStatus
    created_at: str
    started_at: str | None = None
    finished_at: str | None = None
    dataset: dict[str, Any] | None = None
    dataset_uri: str | None = None
    error: str | None = None

    @field_validator("dataset", mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        return RunDocument.from_text(value)

    @classmethod
    def of(cls, run: RunDocument) -> Self:
        """The same of a whole document."""
        return cls.model_validate(run.model_dump(include=set(cls.model_fields)))


@dataclass(frozen=True)
class RunPage:
    """A page, and where the next one begins; None: this is the last."""

    runs: list[RunSummary]
    next_cursor: str | None


class RunSearch(RunDocuments):
    """Lists of runs."""

    def search(self, query: RunQuery) -> RunPage:
        """The page of the query. Whoever follows `next_cursor` sees each run of the beginning once."""
        if query.permitted == ():
            return RunPage([], None)
        direction = DESCENDING if query.sort is Sort.NEWEST else ASCENDING
        fields = dict.fromkeys(RunSummary.model_fields, 1)
        # One more, which tells whether another page follows.
        found = list(
            self._runs.find(_filter(query), fields).sort("sort_key", direction).limit(query.limit + 1)
        )
        runs = [RunSummary.model_validate(one) for one in found[: query.limit]]
        more = len(found) > query.limit
        return RunPage(runs, _cursor(runs[-1].sort_key) if more else None)

    def workload_dag_ids(self) -> list[str]:
        """The `workload_dag_id`s of all runs, each once, sorted."""
        return sorted(self._runs.distinct("workload_dag_id"))


def _filter(query: RunQuery) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "client_id": query.client_id,
        "workload_id": query.workload_id,
        "status": None if query.status is None else query.status.value,
    }
    chosen = {name: value for name, value in wanted.items() if value is not None}
    if query.permitted is not None:
        chosen["workload_dag_id"] = {"$in": sorted(set(query.permitted))}
    if between := _between(query):
        chosen["sort_key"] = between
    return chosen


def _between(query: RunQuery) -> dict[str, str]:
    lowest = [] if query.created_after is None else [_key(query.created_after)]
    highest = [] if query.created_before is None else [_key(query.created_before)]
    if query.cursor is not None:
        last = _opened(query.cursor)
        if last is None:
            raise StateError(f"{query.cursor!r} is no cursor: give `next_cursor` of the page before")
        if query.sort is Sort.NEWEST:
            highest.append(last)
        else:
            # What begins with the key itself comes before it with something appended.
            lowest.append(last + _LAST)
    between = {"$gte": max(lowest)} if lowest else {}
    return between | ({"$lt": min(highest)} if highest else {})


def _key(moment: datetime) -> str:
    """Runs are written down to the millisecond: a moment within one is that of the next."""
    whole = timedelta(microseconds=-moment.microsecond % 1000)
    return sort_key((moment.astimezone(UTC) + whole).isoformat())


def _cursor(key: str) -> str:
    return base64.urlsafe_b64encode(f"{_MARK}{key}".encode()).decode().rstrip("=")


def _opened(cursor: str) -> str | None:
    """The sort key in a cursor; None where it is none of ours."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode(
            "ascii"
        )
    except (binascii.Error, ValueError):
        return None
    return text.removeprefix(_MARK) if text.startswith(_MARK) else None

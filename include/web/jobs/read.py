"""`GET /api/jobs` and `GET /api/jobs/{id}`: runs as their clients know them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.exceptions import RequestValidationError
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from include.flywheel.jobs.views import detail, list_item
from include.flywheel.jobs.wire import JobDetail, JobList
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.search import MAX_LIMIT, RunQuery, Sort
from include.flywheel.runs.states import RunStatus
from include.stores.runs import open_runs
from include.web.access import Caller, CurrentCaller, permitted
from include.web.jobs.visible import VisibleRun
from include.web.responses import refusals

router = APIRouter(tags=["jobs"])


class JobQuery(BaseModel):
    """Which jobs, in which order, and from where on."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(default=50, ge=1, le=MAX_LIMIT, description="Jobs of one answer.")
    cursor: str | None = Field(
        default=None, max_length=200, description="`next_cursor` of the answer before."
    )
    client_id: str | None = Field(default=None, description="Only of this client.")
    workload_id: str | None = Field(default=None, description="Only of this workload.")
    status: RunStatus | None = Field(default=None, description="Only those that are this far.")
    created_after: AwareDatetime | None = Field(
        default=None, description="Opened then or later; ISO 8601 with a time zone."
    )
    created_before: AwareDatetime | None = Field(
        default=None, description="Opened earlier than that; ISO 8601 with a time zone."
    )
    sort: Sort = Field(default=Sort.NEWEST, description="Which come first.")


@router.get("/api/jobs", summary="List jobs", responses=refusals(422))
def list_jobs(asked: Annotated[JobQuery, Query()], caller: CurrentCaller) -> JobList:
    """The jobs that the caller may see, one page at a time.

    Whoever follows `next_cursor` sees each job once, whatever is started meanwhile.
    """
    runs = open_runs()
    try:
        query = RunQuery(**asked.model_dump(), permitted=_permitted(runs, caller))
    except ValidationError as error:
        faults = [{**fault, "loc": ("query", *fault["loc"])} for fault in error.errors()]
        raise RequestValidationError(faults) from None
    page = runs.search(query)
    return JobList(jobs=[list_item(run) for run in page.runs], next_cursor=page.next_cursor)


@router.get("/api/jobs/{job_id}", summary="One job", responses=refusals(400, 404))
def get_job(run: VisibleRun) -> JobDetail:
    """How far the job is: its datasets, and for each NIM the evaluations, scores and customization."""
    return detail(run, open_runs().nims(run.job_id))


def _permitted(runs: RunRepository, caller: Caller) -> tuple[str, ...]:
    """What the caller may see of what there is.

    Named even where it is everything: a workload that turns up between this and the query stays unseen.
    """
    return tuple(permitted(caller, runs.workload_dag_ids()))

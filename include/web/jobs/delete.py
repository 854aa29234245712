"""`DELETE /api/jobs/{id}`: a run that is over, and all that it made, is removed."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException
from fastapi.concurrency import run_in_threadpool

from include.flywheel.errors import StateError
from include.flywheel.jobs.wire import JobMessage
from include.stores.removal import remove_run
from include.web.access import CurrentCaller, require
from include.web.airflow import Airflow, RunState
from include.web.jobs.visible import VisibleRun
from include.web.responses import refusals

router = APIRouter(tags=["jobs"])

# So long a person waits for the answer; what is left then is said, and upkeep goes on with it.
_LIMIT_SECONDS = 10.0


@router.delete(
    "/api/jobs/{job_id}",
    summary="Delete a run that is over",
    responses=refusals(403, 404, _400="The id is malformed, or the run is not over: cancel it first."),
)
async def delete_job(run: VisibleRun, caller: CurrentCaller, airflow: Airflow) -> JobMessage:
    """Remove its data set, models, jobs and deployments in NeMo, its staging files, then its documents.

    Where something cannot be removed, the job stays and the message says what is left: delete it again, or
    leave it to the hourly clean-up.
    """
    await run_in_threadpool(require, caller, "DELETE", run.workload_dag_id)
    if not run.status.is_over:
        raise HTTPException(400, f"job {run.job_id} is {run.status.value}: cancel it first")
    state = await airflow.run_state(run.dag_id, run.run_id)
    dag_run_is_over = state in {RunState.OVER, RunState.ABSENT}
    try:
        removed = await run_in_threadpool(
            remove_run, run.job_id, caller.name, _LIMIT_SECONDS, dag_run_is_over=dag_run_is_over
        )
    except StateError as error:
        # It was retried, or deleted by somebody else, since it was looked at.
        raise HTTPException(400, str(error)) from None
    return JobMessage(id=run.job_id, message=removed.message)

"""`POST …/cancel` and `POST …/retry`: a run that there is ends, or goes on."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from fastapi.concurrency import run_in_threadpool

from include.flywheel.errors import StateError
from include.flywheel.jobs.wire import JobMessage
from include.flywheel.runs.documents import RunDocument
from include.flywheel.runs.retry import RetryPlan, plan_retry
from include.flywheel.runs.states import RunStatus
from include.stores.runs import open_runs
from include.web.access import CurrentCaller, require
from include.web.airflow import Airflow, RunState
from include.web.jobs.visible import VisibleRun
from include.web.responses import refusals

router = APIRouter(tags=["jobs"])

_PAUSED = "; the DAG {dag_id} is paused: nothing of it runs before somebody unpauses it"


@router.post(
    "/api/jobs/{job_id}/cancel",
    summary="Cancel a run",
    responses=refusals(403, 404, 409, _400="The id is malformed, or the run has finished already."),
)
async def cancel_job(run: VisibleRun, caller: CurrentCaller, airflow: Airflow) -> JobMessage:
    """Mark the run failed in Airflow, whose teardowns end what it runs, remote jobs and NIMs included.

    The job is `cancelled` once nothing of it runs any more. To cancel again changes nothing.
    """
    await run_in_threadpool(require, caller, "PUT", run.workload_dag_id)
    if run.status is RunStatus.CANCELLED:
        return JobMessage(id=run.job_id, message="The job was cancelled already.")
    if run.status.is_over:
        raise HTTPException(400, f"job {run.job_id} is {run.status.value} already: nothing is left to cancel")
    state = await airflow.run_state(run.dag_id, run.run_id)
    may_run = state in {RunState.AT_WORK, RunState.HIDDEN}
    if may_run and await airflow.mark_failed(run.dag_id, run.run_id):
        await run_in_threadpool(_note_cancel, run, caller.name)
    elif run.cancel_requested_at is None:
        raise (
            HTTPException(
                400,
                f"Airflow is done with job {run.job_id} already; the hourly upkeep ends what it left behind",
            )
            if state is RunState.OVER
            else _lost(run)
        )
    paused = await airflow.is_paused(run.dag_id)
    words = "Cancelling: what the job runs is being ended"
    return JobMessage(id=run.job_id, message=words + (_PAUSED.format(dag_id=run.dag_id) if paused else "."))


@router.post(
    "/api/jobs/{job_id}/retry",
    summary="Have a run go on from what failed",
    responses=refusals(403, 404, 409, 422, _400="The id is malformed, or nothing can be done again."),
)
async def retry_job(
    run: VisibleRun,
    caller: CurrentCaller,
    airflow: Airflow,
    nim: Annotated[
        str | None, Query(max_length=200, description="Only this NIM, by its name or slug; else the run.")
    ] = None,
) -> JobMessage:
    """Run again what is not done. What is done is used again: no model is trained twice."""
    await run_in_threadpool(require, caller, "PUT", run.workload_dag_id)
    plan = await run_in_threadpool(_plan, run, nim)
    state = await airflow.run_state(run.dag_id, run.run_id)
    if state is RunState.ABSENT:
        raise _lost(run)
    if state is RunState.AT_WORK:
        raise HTTPException(400, f"Airflow is still at work on job {run.job_id}: cancel it first, or wait")
    await airflow.clear(run.dag_id, run.run_id, [task.wire for task in plan.tasks])
    await run_in_threadpool(_note_retry, run, caller.name, plan)
    paused = await airflow.is_paused(run.dag_id)
    return JobMessage(
        id=run.job_id, message=plan.words + (_PAUSED.format(dag_id=run.dag_id) if paused else "")
    )


def _note_cancel(run: RunDocument, who: str) -> None:
    runs = open_runs()
    # Airflow's listener does so too, unless it cannot reach the documents.
    runs.request_cancel(run.job_id)
    runs.note(run.job_id, f"cancel asked by {who} through the jobs API")


def _plan(run: RunDocument, nim: str | None) -> RetryPlan:
    try:
        return plan_retry(run, open_runs().nims(run.job_id), nim)
    except StateError as error:
        raise HTTPException(400, str(error)) from None


def _note_retry(run: RunDocument, who: str, plan: RetryPlan) -> None:
    runs = open_runs()
    # Who polls for the end must not take the old one for the new: the run is open again from now on, and
    # the first task of this pass finds that said.
    runs.begin_pass(run.job_id, run.pass_number + 1)
    runs.note(run.job_id, f"retry asked by {who} through the jobs API: {plan.words}")


def _lost(run: RunDocument) -> HTTPException:
    return HTTPException(
        409,
        f"Airflow has no run {run.run_id!r} of {run.dag_id!r} any more: what it left behind is ended by the "
        "hourly upkeep; start a new run",
    )

"""`POST /api/jobs`: a run is started in the caller's name."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any
from uuid import uuid4

from fastapi import APIRouter, Header, HTTPException
from fastapi.concurrency import run_in_threadpool

from include.flywheel.config.conf import resolve
from include.flywheel.config.profile import load_profile
from include.flywheel.config.workload import dag_id_of, load_workloads
from include.flywheel.errors import ConfigError, UnknownName
from include.flywheel.jobs.idempotency import IdempotencyConflict, IdempotencyKeys
from include.flywheel.jobs.opening import pending_document
from include.flywheel.jobs.wire import JobCreate, JobCreated, conf_of
from include.flywheel.runs import ids
from include.flywheel.runs.digests import digest_of
from include.stores.mongo import open_database
from include.stores.nims import effective_catalogue
from include.stores.runs import open_runs
from include.web.access import Caller, CurrentCaller, require
from include.web.airflow import Airflow, RunState
from include.web.responses import refusals

router = APIRouter(tags=["jobs"])

# Takes every workload that has no DAG of its own.
ON_DEMAND_DAG_ID = "flywheel_on_demand"
_TOO_LARGE = 2**63


@dataclass(frozen=True)
class _Start:
    """The DAG run that a request asks for."""

    dag_id: str
    run_id: str
    conf: dict[str, Any]


@router.post(
    "/api/jobs",
    summary="Start a job",
    responses=refusals(
        403,
        422,
        _400="The body cannot be read at all.",
        _404="There is no profile of the name in `config_name`.",
        _409="The idempotency key was used for another request.",
    ),
)
async def start_job(
    job: JobCreate,
    caller: CurrentCaller,
    airflow: Airflow,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=200,
            description="A request that is sent again with the same key and body gets the first answer.",
            examples=["nightly-2026-03-02"],
        ),
    ] = None,
) -> JobCreated:
    """Turn the wheel once. A configured workload gets a run of its own DAG, any other one on demand.

    The job is `pending` until its first task begins.
    """
    start = await run_in_threadpool(_prepare, job, caller, idempotency_key)
    is_new = await airflow.start_run(
        start.dag_id, start.run_id, start.conf, f"started by {caller.name} through the jobs API"
    )
    # One that is over and has no document any more was deleted: it must not come back as pending.
    if is_new or await airflow.run_state(start.dag_id, start.run_id) is RunState.AT_WORK:
        await run_in_threadpool(_open, start, job)
    message = f"Run {start.run_id} of {start.dag_id} is queued."
    if await airflow.is_paused(start.dag_id):
        message += " The DAG is paused: it begins once somebody unpauses it."
    return JobCreated(id=ids.job_id(start.dag_id, start.run_id), status="queued", message=message)


def _prepare(job: JobCreate, caller: Caller, key: str | None) -> _Start:
    """What is refused is refused here, before anything exists."""
    require(caller, "POST", dag_id_of(job.client_id, job.workload_id))
    conf = conf_of(job)
    _refuse_unstorable(conf, "body")
    dag_id = _check(job, conf)
    run_id = f"api__{datetime.now(UTC):%Y%m%dT%H%M%SZ}__{uuid4().hex[:12]}"
    if key is not None:
        keys = IdempotencyKeys(open_database())
        try:
            run_id = keys.claim(caller.id, key, digest_of(conf), run_id).run_id
        except IdempotencyConflict as error:
            raise HTTPException(409, str(error)) from None
    return _Start(dag_id, run_id, conf)


def _refuse_unstorable(value: Any, field: str) -> None:
    """422 for what JSON can say and neither Airflow's database nor MongoDB can keep."""
    if isinstance(value, dict):
        for key, one in value.items():
            _refuse_unstorable(key, field)
            _refuse_unstorable(one, f"{field}.{key}")
    elif isinstance(value, list):
        for one in value:
            _refuse_unstorable(one, field)
    elif isinstance(value, str) and "\x00" in value:
        raise HTTPException(422, f"`{field}` holds a NUL character: leave it out")
    elif isinstance(value, int) and abs(value) >= _TOO_LARGE:
        raise HTTPException(422, f"`{field}` = {value}: a whole number has at most 63 bits")
    elif isinstance(value, float) and not math.isfinite(value):
        raise HTTPException(422, f"`{field}` = {value}: give a finite number")


def _check(job: JobCreate, conf: dict[str, Any]) -> str:
    """The id of the DAG that takes the job.

    404 for an unknown profile, 422 for what the run's first task would refuse anyway.
    """
    mine = (job.client_id, job.workload_id)
    workload = next((one for one in load_workloads() if (one.client_id, one.workload_id) == mine), None)
    if job.config_name is not None:
        try:
            load_profile(job.config_name)
        except UnknownName as error:
            raise HTTPException(404, str(error)) from None
    catalogue = effective_catalogue()
    try:
        resolve(conf, workload, catalogue)
    except ConfigError as error:
        raise HTTPException(422, str(error)) from None
    return ON_DEMAND_DAG_ID if workload is None else workload.dag_id


def _open(start: _Start, job: JobCreate) -> None:
    """Write the run down, so that it can be asked for at once; its first task finds the document."""
    _ensure_indexes(os.getpid())
    open_runs().open(pending_document(start.dag_id, start.run_id, job))


@lru_cache(maxsize=1)
def _ensure_indexes(_pid: int) -> None:
    """Once a process: without the unique index two who open a run at the same time write two documents."""
    open_runs().ensure_indexes()
    IdempotencyKeys(open_database()).ensure_indexes()

"""What the wheel turns for, and what it could turn for: workloads with their traffic and last verdict."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from include.flywheel.config.workload import load_workloads
from include.flywheel.runs.workload_rows import WorkloadRow, workload_rows
from include.stores.runs import open_runs
from include.stores.traffic import DEFAULT_CONN_ID, open_traffic
from include.web.access import CurrentCaller, permitted
from include.web.responses import refusals

router = APIRouter(prefix="/api/workloads", tags=["workloads"])


class WorkloadList(BaseModel):
    """Configured ones first, each group by client and workload."""

    workloads: list[WorkloadRow]
    notes: list[str] = Field(description="Where traffic is not known, and why.")


@router.get("", summary="Workloads", responses=refusals())
def list_workloads(caller: CurrentCaller) -> WorkloadList:
    """Configured workloads, and those that the logs hold without anybody having configured them.

    Only those whose runs the caller may see: by the permission on the workload's DAG, or on the id that its
    DAG would have. Traffic is counted once a minute at most; what takes longer than a few seconds is missing
    at first, and a note says so.
    """
    configured = load_workloads()
    counts = open_traffic().get({DEFAULT_CONN_ID, *(one.logs_conn_id for one in configured)})
    rows = workload_rows(configured, counts, open_runs(), lambda dag_ids: permitted(caller, dag_ids))
    # Another client's connection is nothing to the caller.
    looked = {DEFAULT_CONN_ID, *(row.logs_conn_id for row in rows)}
    notes = [one.note for conn_id, one in counts.items() if one.note and conn_id in looked]
    return WorkloadList(workloads=rows, notes=notes)

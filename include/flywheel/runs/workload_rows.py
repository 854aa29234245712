"""The workloads that there are: configured ones, and those that the logs alone know."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from include.flywheel.config.workload import Workload, dag_id_of
from include.flywheel.logs.traffic import Traffic, TrafficCount
from include.flywheel.runs.documents import RunDocument
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import RunStatus

MaySee = Callable[[Collection[str]], Collection[str]]
"""Those of some DAG ids whose workloads the asker may see."""


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LastRun(_Row):
    """The newest run of a workload."""

    job_id: str
    dag_id: str
    run_id: str
    status: RunStatus
    created_at: str
    finished_at: str | None
    verdict: str | None = Field(description="PROMOTABLE, REJECTED or INCONCLUSIVE; null: not decided.")
    winner: str | None = Field(description="The chosen NIM, if any.")


class WorkloadRow(_Row):
    """One workload."""

    client_id: str
    workload_id: str
    dag_id: str = Field(description="Its DAG; of one that is not configured, the id that it would have.")
    configured: bool
    described: Workload | None = Field(description="As configured; null: the logs alone know it.")
    logs_conn_id: str = Field(description="The log store in which its records were looked for.")
    traffic: Traffic | None = Field(description="null: no records, or not known; see the notes.")
    last_run: LastRun | None


def workload_rows(
    configured: Sequence[Workload],
    counts: Mapping[str, TrafficCount],
    runs: RunRepository,
    may_see: MaySee,
) -> list[WorkloadRow]:
    """Configured workloads first, each group by client and workload; only what the asker may see.

    `counts` is by log connection. Raises what the repository's database raises.
    """
    rows = [_configured_row(one, counts) for one in configured]
    known = {(row.client_id, row.workload_id) for row in rows}
    for conn_id, count in counts.items():
        found = [one for one in count.traffic if (one.client_id, one.workload_id) not in known]
        known.update((one.client_id, one.workload_id) for one in found)
        rows += [_found_row(one, conn_id) for one in found]
    seen = may_see({row.dag_id for row in rows})
    mine = [row for row in rows if row.dag_id in seen]
    for row in mine:
        row.last_run = last_run(runs, row.client_id, row.workload_id)
    return sorted(mine, key=lambda row: (not row.configured, row.client_id, row.workload_id))


def last_run(runs: RunRepository, client_id: str, workload_id: str) -> LastRun | None:
    """The newest run of a workload, of whichever DAG."""
    newest = runs.recent(client_id=client_id, workload_id=workload_id, limit=1)
    return _last(newest[0]) if newest else None


def _last(run: RunDocument) -> LastRun:
    return LastRun(
        job_id=run.job_id,
        dag_id=run.dag_id,
        run_id=run.run_id,
        status=run.status,
        created_at=run.created_at,
        finished_at=run.finished_at,
        verdict=(run.decision or {}).get("verdict"),
        winner=run.winners[0].get("nim") if run.winners else None,
    )


def _configured_row(workload: Workload, counts: Mapping[str, TrafficCount]) -> WorkloadRow:
    ids = (workload.client_id, workload.workload_id)
    found = counts[workload.logs_conn_id].traffic if workload.logs_conn_id in counts else []
    return WorkloadRow(
        client_id=workload.client_id,
        workload_id=workload.workload_id,
        dag_id=workload.dag_id,
        configured=True,
        described=workload,
        logs_conn_id=workload.logs_conn_id,
        traffic=next((one for one in found if (one.client_id, one.workload_id) == ids), None),
        last_run=None,
    )


def _found_row(traffic: Traffic, conn_id: str) -> WorkloadRow:
    return WorkloadRow(
        client_id=traffic.client_id,
        workload_id=traffic.workload_id,
        dag_id=dag_id_of(traffic.client_id, traffic.workload_id),
        configured=False,
        described=None,
        logs_conn_id=conn_id,
        traffic=traffic,
        last_run=None,
    )

"""Several runs, and the GPUs that they hold and wait for, as tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from include.cli.runs_words import between, moment
from include.flywheel.report.text import align
from include.flywheel.runs.documents import RunDocument
from include.flywheel.runs.leases.model import Lease, Waiting

_SHORT_JOB = 12


def run_rows(runs: Sequence[RunDocument]) -> list[dict[str, Any]]:
    """What `list --json` prints of each run."""
    return [
        {
            "job_id": run.job_id,
            "dag_id": run.dag_id,
            "run_id": run.run_id,
            "client_id": run.client_id,
            "workload_id": run.workload_id,
            "status": run.status.value,
            "created_at": run.created_at,
            "started_at": run.started_at,
            "finished_at": run.finished_at,
            "verdict": (run.decision or {}).get("verdict"),
            "winners": [winner.get("nim") for winner in run.winners],
            "error": run.error,
        }
        for run in runs
    ]


def run_lines(runs: Sequence[RunDocument]) -> list[str]:
    """A line for each run, newest first as they come."""
    if not runs:
        return ["no run fits"]
    head = ["job", "status", "client / workload", "created (UTC)", "took", "verdict", "winner", "run"]
    rows = [
        [
            run.job_id[:_SHORT_JOB],
            run.status.value,
            f"{run.client_id} / {run.workload_id}",
            moment(run.created_at),
            between(run.started_at, run.finished_at),
            str((run.decision or {}).get("verdict") or "-"),
            ", ".join(str(winner.get("nim")) for winner in run.winners) or "-",
            run.run_id,
        ]
        for run in runs
    ]
    return align([head, *rows])


def lease_lines(
    held: Sequence[Lease], waiting: Sequence[Waiting], whose: Callable[[str], str], until: str
) -> list[str]:
    """Who holds GPUs, and who waits for them in the order of asking; `whose` names a run by its job id."""
    if not held and not waiting:
        return ["no GPUs are leased, and nobody waits for any"]
    total = max(one.total for one in (*held, *waiting))

    def row(state: str, one: Waiting, since: str) -> list[str]:
        return [
            state,
            whose(one.job_id),
            one.slug,
            one.kind.value,
            str(one.gpus),
            moment(since),
            between(since, until),
        ]

    head = ["state", "run", "NIM", "for", "GPUs", "since (UTC)", "how long"]
    rows = [row("holds", one, one.granted_at) for one in held]
    rows += [row("waits", one, one.asked_at) for one in sorted(waiting, key=lambda one: one.order)]
    return [f"{sum(one.gpus for one in held)} of {total} GPUs are leased", *align([head, *rows])]

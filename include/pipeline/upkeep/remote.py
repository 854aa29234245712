"""What NeMo holds of runs, and its end."""

from __future__ import annotations

import time
from typing import Any

from include.airflow_nemo.hook import NemoHook
from include.flywheel.runs import ids
from include.nemo import Service, deployments
from include.nemo.ending import told_to_end
from include.nemo.listing import listing
from include.nemo.models import DeploymentStatus, Entity
from include.nemo.states import JobState
from include.pipeline.run import Run
from include.pipeline.undeploy import StillRunning, take_down
from include.pipeline.upkeep.things import (
    Kind,
    Thing,
    is_our_deployment,
    job_of_dataset,
    job_of_project,
    moment,
)

_COLLECTIONS = {
    Kind.DEPLOYMENT: (Service.DEPLOYMENT, "/v1/deployment/model-deployments"),
    Kind.EVALUATION: (Service.EVALUATOR, "/v1/evaluation/jobs"),
    Kind.CUSTOMIZATION: (Service.CUSTOMIZER, "/v1/customization/jobs"),
    Kind.DATASET: (Service.ENTITY_STORE, "/v1/datasets"),
}

_GONE_SECONDS = 300.0
_POLL_SECONDS = 0.5


class _Found(Entity):
    """What tells whose an entity is, how old, and whether it is over."""

    created_at: str | None = None
    status: Any = None
    status_details: DeploymentStatus | None = None


def of_kind(kind: Kind, job_id: str | None = None) -> list[Thing]:
    """What NeMo holds of a kind that carries a run of ours, or that run: of jobs, those that are not over.

    Raises NemoError.
    """
    hook = NemoHook()
    service, path = _COLLECTIONS[kind]
    filters = {"namespace": hook.namespace, "project": ids.project(job_id) if job_id else None}
    wanted = listing(
        service,
        f"list {kind.value}s of runs",
        path,
        _Found,
        filters=filters,
        keep=lambda one: one.namespace in {None, hook.namespace} and _is_wanted(kind, one, job_id),
    )
    with hook.client() as nemo:
        found = nemo.collect(wanted)
    return [
        Thing(kind, _name(kind, one), owner, moment(one.created_at))
        for one in found
        if (owner := _job_of(kind, one)) is not None
    ]


def end_run(run: Run) -> None:
    """Undeploy and cancel all that carries the run, and wait until it is gone.

    Raises NemoError, and StillRunning after five minutes; the jobs are cancelled whether or not the
    deployments go.
    """
    try:
        _undeploy(run)
    finally:
        take_down(run)


def _undeploy(run: Run) -> None:
    """By project, for a run without document names no NIMs."""
    hook = NemoHook()
    deadline = time.monotonic() + _GONE_SECONDS
    with hook.client() as nemo:
        while left := of_kind(Kind.DEPLOYMENT, run.job_id):
            if time.monotonic() > deadline:
                raise StillRunning(
                    f"{len(left)} deployments of project {run.project} are still there {_GONE_SECONDS:.0f} s "
                    "after they were told to end: look at the Deployment service's log, remove them by hand"
                )
            for one in left:
                told_to_end(nemo, deployments.delete(hook.namespace, one.name))
            time.sleep(_POLL_SECONDS)


def _is_wanted(kind: Kind, found: _Found, job_id: str | None) -> bool:
    owner = _job_of(kind, found)
    if owner is None or job_id not in {None, owner}:
        return False
    if kind is Kind.DATASET:
        return True
    if kind is Kind.DEPLOYMENT:
        state = found.status_details.status if found.status_details else JobState("unknown")
        return state != "deleted" and is_our_deployment(found.name, owner)
    return not JobState.of(found.status).is_terminal


def _name(kind: Kind, found: _Found) -> str:
    """What it is found by: jobs have an id, the others a name."""
    by_name = kind in {Kind.DEPLOYMENT, Kind.DATASET}
    return (found.name if by_name else found.id) or ""


def _job_of(kind: Kind, found: _Found) -> str | None:
    """The run; of a data set the name and the project must say the same."""
    owner = job_of_project(found.project)
    return owner if kind is not Kind.DATASET or job_of_dataset(found.name) == owner else None

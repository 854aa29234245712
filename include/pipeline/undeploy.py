"""Take down what is left of a run: its jobs and its deployments. Right whether or not any of it exists."""

from __future__ import annotations

import logging
import time
from typing import Any

from airflow.sdk import get_current_context

from include.airflow_nemo.hook import NemoHook
from include.flywheel.errors import FlywheelError
from include.flywheel.runs import ids
from include.flywheel.runs.documents import now
from include.flywheel.runs.states import NimStatus, StageName, StageStatus
from include.nemo import NemoClient, customizer, deployments, evaluator
from include.nemo.call import Call
from include.nemo.errors import Conflict, Invalid, NotFound
from include.pipeline.run import Run, current_run, name_in_grid, telling

log = logging.getLogger(__name__)

_DOWN_SECONDS = 120.0
_POLL_SECONDS = 0.5


class StillRunning(FlywheelError):
    """A remote job or deployment did not end although it was told to."""


def undeploy(nim: dict[str, str]) -> None:
    """Cancel the NIM's jobs, undeploy it, and say how it ended."""
    name_in_grid(nim)
    run, slug = current_run(), nim["slug"]
    with telling(run, slug):
        # First, so that a submit in flight sees it after it has created something.
        run.runs.update_nim(run.job_id, slug, closed_at_try=get_current_context()["ti"].try_number)
        hook = NemoHook()
        with hook.client() as nemo:
            cancel_jobs(nemo, hook.namespace, run.project, slug)
            _ignore_gone(nemo, deployments.delete(hook.namespace, ids.deployment(run.job_id, slug)))
        _say_how_it_ended(run, slug)


def _say_how_it_ended(run: Run, slug: str) -> None:
    """`scores` has the last word on a NIM and runs after every failure: only a cancel silences it."""
    run.runs.update_nim(run.job_id, slug, undeployed_at=now())
    if run.runs.set_nim_status(run.job_id, slug, NimStatus.CANCELLED, error="the run was cancelled"):
        for stage in StageName:
            if stage in run.runs.nim(run.job_id, slug).stages:
                run.runs.set_live_stage(
                    run.job_id, slug, stage, status=StageStatus.CANCELLED.value, finished_at=now()
                )


def cancel_jobs(nemo: NemoClient, namespace: str, project: str, slug: str | None = None) -> int:
    """Cancel the live jobs of a run, or of one of its NIMs; returns how many were live."""
    fields = {} if slug is None else {"nim": slug}
    live = 0
    for service in (customizer, evaluator):
        for job in nemo.collect(
            service.list_jobs(namespace=namespace, project=project, custom_fields=fields)
        ):
            if not job.state.is_terminal:
                live += 1
                log.info("cancelling %s", job.id)
                _ignore_gone(nemo, service.cancel_job(job.id))
    return live


def sweep(run: Run) -> None:
    """End everything that carries the run's project, and wait until nothing of it runs.

    The last line of defence: a submit that was killed between creating and looking back leaves its job here.
    Raises StillRunning after two minutes.
    """
    hook = NemoHook()
    deadline = time.monotonic() + _DOWN_SECONDS
    with hook.client() as nemo:
        while True:
            left = cancel_jobs(nemo, hook.namespace, run.project)
            for nim in run.runs.nims(run.job_id):
                name = ids.deployment(run.job_id, nim.slug)
                left += _undeploy_if_there(nemo, hook.namespace, name)
            if left == 0:
                return
            if time.monotonic() > deadline:
                raise StillRunning(
                    f"{left} remote jobs or deployments of project {run.project} still run "
                    f"{_DOWN_SECONDS:.0f} s after they were told to end: look at the services' logs and "
                    "remove them by hand"
                )
            time.sleep(_POLL_SECONDS)


def _undeploy_if_there(nemo: NemoClient, namespace: str, name: str) -> int:
    try:
        nemo.send(deployments.get(namespace, name))
    except NotFound:
        return 0
    _ignore_gone(nemo, deployments.delete(namespace, name))
    return 1


def _ignore_gone(nemo: NemoClient, call: Call[Any]) -> None:
    """Send a removal; what is gone or over already is what was wanted."""
    try:
        nemo.send(call)
    except (NotFound, Conflict, Invalid) as error:
        log.info("nothing to end: %s", error)

"""Take down what is left of a run: its jobs and its deployments. Right whether or not any of it exists."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from include.airflow_nemo.hook import NemoHook
from include.flywheel.errors import FlywheelError
from include.flywheel.runs import ids
from include.flywheel.runs.documents import now
from include.flywheel.runs.states import NimStatus, StageName, StageStatus
from include.nemo import NemoClient, customizer, deployments
from include.nemo.ending import cancel_jobs, told_to_end
from include.nemo.errors import NotFound
from include.pipeline.embedding import customized_deployment
from include.pipeline.leases import KINDS, close_leases, release
from include.pipeline.run import Run, current_run, name_in_grid, telling

log = logging.getLogger(__name__)

_DOWN_SECONDS = 300.0
_POLL_SECONDS = 0.5


class StillRunning(FlywheelError):
    """A remote job or deployment did not end although it was told to."""


def undeploy(nim: dict[str, str]) -> None:
    """Cancel the NIM's jobs, undeploy it, give its GPUs back."""
    name_in_grid(nim)
    run, slug = current_run(), nim["slug"]
    with telling(run, slug):
        # First, so that a submit in flight sees it after it has created something.
        run.runs.close_nim(run.job_id, slug, run.pass_number)
        take_down(run, slug)
        close_leases(run, slug)
        run.runs.update_nim(run.job_id, slug, undeployed_at=now())
        if run.runs.get(run.job_id).cancel_requested_at is not None:
            say_cancelled(run, slug, "the run was cancelled")


def end_stage(run: Run, slug: str, stage: StageName) -> None:
    """End what a stage that failed has left running, and give its GPUs back: others wait for them."""
    hook = NemoHook()
    deployment = ids.deployment(run.job_id, slug)
    with hook.client() as nemo:

        def end() -> int:
            if stage is StageName.DEPLOY:
                return _undeploy_if_there(nemo, hook.namespace, deployment)
            return cancel_jobs(nemo, hook.namespace, run.project, {"nim": slug}, [customizer])

        _until_none_is_left(run, end)
    release(run.runs, run.job_id, slug, KINDS[stage], run.pass_number)


def say_cancelled(run: Run, slug: str, error: str) -> None:
    """A NIM that was not over when its run was cancelled, and what of it was not."""
    if run.runs.set_nim_status(run.job_id, slug, NimStatus.CANCELLED, error=error):
        for stage in run.runs.nim(run.job_id, slug).stages:
            run.runs.set_live_stage(
                run.job_id, slug, stage, status=StageStatus.CANCELLED.value, finished_at=now()
            )


def take_down(run: Run, slug: str | None = None) -> None:
    """End all that carries the run's project, or of one of its NIMs, and wait until nothing of it runs.

    For a whole run it is the last line of defence: a submit that was killed between creating and looking back
    leaves its job here. Raises StillRunning after five minutes.
    """
    hook = NemoHook()
    slugs = [slug] if slug else [nim.slug for nim in run.runs.nims(run.job_id)]
    with hook.client() as nemo:

        def end() -> int:
            fields = {} if slug is None else {"nim": slug}
            left = cancel_jobs(nemo, hook.namespace, run.project, fields)
            names = [
                name(run.job_id, one) for one in slugs for name in (ids.deployment, customized_deployment)
            ]
            return left + sum(_undeploy_if_there(nemo, hook.namespace, name) for name in names)

        _until_none_is_left(run, end)


def _until_none_is_left(run: Run, end: Callable[[], int]) -> None:
    deadline = time.monotonic() + _DOWN_SECONDS
    while left := end():
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
    told_to_end(nemo, deployments.delete(namespace, name))
    return 1

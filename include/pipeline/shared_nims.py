"""NIMs that runs share: joined, deployed, left. Who leaves last takes the NIM down and gives its GPUs back.

A run joins one only when it waits for no GPUs any more, so that nothing that holds GPUs waits for others.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection

from pydantic import BaseModel, ConfigDict

from include.airflow_nemo.hook import NemoHook
from include.flywheel.config.nims import Nim
from include.flywheel.errors import StateError
from include.flywheel.runs.documents import NimDocument
from include.flywheel.runs.leases.model import LeaseAnswer, LeaseKind, LeaseRequest
from include.flywheel.runs.shared import LEASE_OWNER, SharedNim
from include.flywheel.runs.states import StageName
from include.nemo import deployments
from include.nemo.ending import told_to_end
from include.nemo.errors import NotFound
from include.pipeline.deploying import deploy_once
from include.pipeline.run import Run
from include.pipeline.undeploy import StillRunning
from include.stores.leases import open_leases
from include.stores.shared import open_shared

log = logging.getLogger(__name__)

PROJECT = "fw-shared"
"""Of deployments that belong to no run."""

_DOWN_SECONDS = 300.0
_POLL_SECONDS = 0.5


class Wanted(BaseModel):
    """A shared NIM that a run wants, for `purpose` (which is also the field of the run's document about it).

    `total` is the GPU budget; None: nothing waits for GPUs. `due`: slugs of the NIMs whose tasks run in this
    pass; None: of all.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    purpose: str
    nim: Nim
    job_id: str
    pass_number: int
    total: int | None
    due: tuple[str, ...] | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        """Whose use of what it is."""
        return self.purpose, self.nim.name, self.job_id


def waits_for_gpus(run: Run, due: Collection[str] | None) -> str | None:
    """The NIM of the run that has not had its GPUs yet, for its training or its deployment; else None."""
    for nim in run.runs.nims(run.job_id):
        if (due is None or nim.slug in due) and not _has_had_gpus(nim, run.pass_number):
            return nim.nim
    return None


def _has_had_gpus(nim: NimDocument, pass_number: int) -> bool:
    if nim.pass_number < pass_number:
        return False
    if nim.closed_pass >= nim.pass_number:
        return True
    stages = [nim.stages.get(name) for name in (StageName.CUSTOMIZE, StageName.DEPLOY)]
    return all(one is not None and (one.submitted_at or one.status.is_over) for one in stages)


def join(wanted: Wanted) -> SharedNim | None:
    """Use the NIM from now on; None while an earlier generation of it is still going.

    Helps with that: who began it may have been killed.
    """
    shared = open_shared()
    joined = shared.join(*wanted.key)
    if joined is not None:
        return joined
    for nim in shared.all():
        if nim.closing and (nim.purpose, nim.model) == wanted.key[:2]:
            take_down_shared(nim)
    return None


def check_use(nim: SharedNim, wanted: Wanted) -> None:
    """Raises StateError where the run uses this generation no more: it was cancelled, or is over."""
    used = open_shared().used_by(wanted.job_id)
    if not any((one.key, one.generation) == (nim.key, nim.generation) for one in used):
        raise StateError(f"the run uses {nim.key} no more: it has ended, or was cancelled")


def ask_for_gpus(nim: SharedNim, wanted: Wanted) -> LeaseAnswer:
    """Ask for the NIM's GPUs, which its users have together; ask again until they are granted.

    Raises LeaseRefused where there will never be enough, StateError where the run uses the NIM no more.
    """
    if wanted.total is None or not wanted.nim.gpus:
        return LeaseAnswer(reason="nothing waits for GPUs")
    check_use(nim, wanted)
    answer = open_leases().take(
        LeaseRequest(
            job_id=LEASE_OWNER,
            slug=nim.key,
            kind=LeaseKind.SERVING,
            gpus=wanted.nim.gpus,
            total=wanted.total,
            try_number=nim.generation,
        )
    )
    try:
        check_use(nim, wanted)
    except StateError:
        _release_if_unused(nim)
        raise
    return answer


def deploy_shared(nim: SharedNim, wanted: Wanted) -> str:
    """Deploy it, unless another run did; returns `namespace/name` of the deployment.

    Raises StateError where the run uses it no more.
    """
    check_use(nim, wanted)
    hook = NemoHook()
    with hook.client() as nemo:
        deploy_once(nemo, hook.namespace, nim.deployment, wanted.nim, PROJECT)
        try:
            check_use(nim, wanted)
        except StateError:
            # Its last user may have looked for it before it was there.
            if _is_unused(nim):
                told_to_end(nemo, deployments.delete(hook.namespace, nim.deployment))
            raise
    return f"{hook.namespace}/{nim.deployment}"


def leave(purpose: str, model: str, job_id: str) -> None:
    """The run needs the NIM no more; the last one takes it down. Safe to repeat. Raises NemoError."""
    left = open_shared().leave(purpose, model, job_id)
    if left.closing:
        take_down_shared(left)


def leave_shared(run: Run) -> None:
    """Leave whatever the run uses, and say so in its document. Raises NemoError, StillRunning."""
    for nim in open_shared().used_by(run.job_id):
        leave(nim.purpose, nim.model, run.job_id)
        run.runs.set_part(run.job_id, nim.purpose, deployment_status="completed")


def take_down_shared(nim: SharedNim) -> None:
    """Undeploy a NIM that nobody uses, wait until it is gone, and give its GPUs back.

    Raises StillRunning after five minutes.
    """
    hook = NemoHook()
    deadline = time.monotonic() + _DOWN_SECONDS
    with hook.client() as nemo:
        while True:
            try:
                nemo.send(deployments.get(hook.namespace, nim.deployment))
            except NotFound:
                break
            told_to_end(nemo, deployments.delete(hook.namespace, nim.deployment))
            if time.monotonic() > deadline:
                raise StillRunning(
                    f"deployment {nim.deployment} is still there {_DOWN_SECONDS:.0f} s after it was told to "
                    "end: look at the Deployment service's log, remove it by hand"
                )
            time.sleep(_POLL_SECONDS)
    log.info("%s is undeployed: nobody uses it any more", nim.deployment)
    open_leases().release(LEASE_OWNER, nim.key, LeaseKind.SERVING, nim.generation)
    open_shared().closed(nim)


def _is_unused(nim: SharedNim) -> bool:
    """Whether this generation has no user."""
    known = next((one for one in open_shared().all() if one.key == nim.key), None)
    return known is None or known.closing or known.generation > nim.generation


def _release_if_unused(nim: SharedNim) -> None:
    if _is_unused(nim):
        open_leases().release(LEASE_OWNER, nim.key, LeaseKind.SERVING, nim.generation)

"""GPUs that a NIM of a run holds: asked for, given back, written down."""

from __future__ import annotations

import logging

from airflow.sdk.exceptions import AirflowSkipException

from include.flywheel.evaluation.specs import Stage
from include.flywheel.runs.documents import NimDocument, now
from include.flywheel.runs.leases.model import LeaseAnswer, LeaseKind, LeaseRequest
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import StageName, StageStatus
from include.pipeline.prepare import load_config
from include.pipeline.run import Run
from include.pipeline.stages import EVALUATIONS, customize, deploy, facts_of
from include.stores.leases import open_leases
from include.stores.runs import open_runs

log = logging.getLogger(__name__)

# The stage that stands still, and fails, where its lease is not granted.
STAGES = {LeaseKind.TRAINING: StageName.CUSTOMIZE, LeaseKind.SERVING: StageName.DEPLOY}


def request_for(run: Run, slug: str, kind: LeaseKind) -> LeaseRequest | None:
    """What to ask for; None where nothing has to be waited for. Skips what has nothing left to do."""
    gpus = _needed(run, slug, kind)
    total = load_config(run).gpus.total
    if gpus == 0 or total is None:
        return None
    run.refuse_if_closed(slug)
    run.runs.ask_lease(run.job_id, slug, kind.value, gpus)
    return LeaseRequest(
        job_id=run.job_id, slug=slug, kind=kind, gpus=gpus, total=total, try_number=run.pass_number + 1
    )


def ask(request: LeaseRequest, said: str | None = None) -> LeaseAnswer:
    """Ask for the lease once and write the answer down, unless that is what was `said` before.

    Raises LeaseRefused.
    """
    answer = open_leases().take(request)
    key = (request.job_id, request.slug, request.kind.value)
    if answer.lease is not None:
        open_runs().set_lease(*key, granted_at=answer.lease.granted_at, detail=None)
    elif answer.reason != said:
        open_runs().set_lease(*key, detail=answer.reason)
    return answer


def begin(request: LeaseRequest) -> None:
    """Submit what the GPUs were leased for: they would idle until the next task has started.

    That task finds what was submitted, or submits it; so it is also the one that reports what went wrong,
    here or with the store.
    """
    submit = customize if request.kind is LeaseKind.TRAINING else deploy
    try:
        runs = open_runs()
        document = runs.get(request.job_id)
        run = Run(request.job_id, document.dag_id, document.run_id, runs, request.try_number - 1)
        submit(run, request.slug)
    except Exception as error:
        log.warning("%s is left to the next task: %s", STAGES[request.kind].value, error)


def give_back(run: Run, slug: str, kind: LeaseKind) -> None:
    """Give the GPUs back, where any were leased. Only once nothing remote holds them any more."""
    if load_config(run).gpus.total is None:
        return
    release(run.runs, run.job_id, slug, kind, run.pass_number)


def release(runs: RunRepository, job_id: str, slug: str, kind: LeaseKind, pass_number: int) -> None:
    """Release the lease of this pass or an earlier one, if there is one, and write down when."""
    at = now()
    if open_leases().release(job_id, slug, kind, pass_number + 1):
        runs.set_lease(job_id, slug, kind.value, released_at=at)


def leave_line(request: LeaseRequest) -> None:
    """Take the request back, and what it was granted. One of a later pass stays."""
    open_leases().release(request.job_id, request.slug, request.kind, request.try_number)


def close_leases(run: Run, slug: str) -> None:
    """Give everything of the NIM back and take nothing more in this pass."""
    if load_config(run).gpus.total is None:
        return
    # The time before, so that no document says that more were held than there are.
    at = now()
    open_leases().close(run.job_id, slug, run.pass_number + 1)
    for kind in LeaseKind:
        run.runs.set_lease(run.job_id, slug, kind.value, released_at=at)


def close_all_leases(run: Run) -> None:
    """The same for every NIM of the run: also where its own last task did not get that far."""
    for nim in run.runs.nims(run.job_id):
        close_leases(run, nim.slug)


def give_up(request: LeaseRequest, reason: str) -> None:
    """The wait has failed: write down why, leave the line."""
    runs, stage = open_runs(), STAGES[request.kind]
    runs.set_live_stage(
        request.job_id, request.slug, stage, status=StageStatus.FAILED.value, error=reason, finished_at=now()
    )
    runs.note(request.job_id, f"{request.slug} {request.kind.value} lease: {reason}")
    leave_line(request)


def _needed(run: Run, slug: str, kind: LeaseKind) -> int:
    """GPUs that are needed now. Skips a deployment that would have nothing to evaluate."""
    nim, facts = run.runs.nim(run.job_id, slug), facts_of(load_config(run), slug)
    if kind is LeaseKind.TRAINING:
        done = _is_completed(nim, StageName.CUSTOMIZE)
        return 0 if done or facts.customization is None else facts.customization.num_gpus
    if all(_is_completed(nim, EVALUATIONS[which]) for which in (Stage.BASE, Stage.ICL, Stage.CUSTOMIZED)):
        reason = "nothing is left to evaluate"
        for stage in (StageName.DEPLOY, StageName.ADAPTER):
            run.runs.set_stage(run.job_id, slug, stage, status=StageStatus.SKIPPED.value, detail=reason)
        raise AirflowSkipException(reason)
    return facts.gpus or 0


def _is_completed(nim: NimDocument, stage: StageName) -> bool:
    document = nim.stages.get(stage)
    return document is not None and document.status is StageStatus.COMPLETED

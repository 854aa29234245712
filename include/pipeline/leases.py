"""GPUs that a NIM of a run holds: asked for, given back, written down."""

from __future__ import annotations

from airflow.sdk.exceptions import AirflowSkipException

from include.flywheel.evaluation.specs import Stage
from include.flywheel.runs.documents import NimDocument, now
from include.flywheel.runs.leases.model import LeaseAnswer, LeaseKind, LeaseRequest
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import StageName, StageStatus
from include.pipeline.prepare import load_config
from include.pipeline.run import Run
from include.pipeline.stages import EVALUATIONS, facts_of
from include.stores.leases import open_leases
from include.stores.runs import open_runs

# The stages that need GPUs, and which kind of lease they wait for.
KINDS = {StageName.CUSTOMIZE: LeaseKind.TRAINING, StageName.DEPLOY: LeaseKind.SERVING}

_TRAINING_FIRST = "waits until its training has GPUs"


def request_for(run: Run, slug: str, kind: LeaseKind) -> LeaseRequest | None:
    """What to ask for; None where nothing has to be waited for. Skips what has nothing left to do."""
    gpus = _needed(run, slug, kind)
    total = load_config(run).gpus.total
    if gpus == 0 or total is None:
        return None
    run.refuse_if_closed(slug)
    return LeaseRequest(
        job_id=run.job_id, slug=slug, kind=kind, gpus=gpus, total=total, try_number=run.pass_number + 1
    )


def ask(request: LeaseRequest, said: str | None = None) -> LeaseAnswer:
    """Ask for the lease once and write the answer down, unless that is what was `said` before.

    Serving gets its place in the line only once training is granted, or over. Raises LeaseRefused.
    """
    key = (request.job_id, request.slug, request.kind.value)
    if said in {None, _TRAINING_FIRST}:
        if request.kind is LeaseKind.SERVING and not _training_is_settled(request):
            return LeaseAnswer(reason=_TRAINING_FIRST)
        open_runs().ask_lease(*key, request.gpus)
    answer = open_leases().take(request)
    if answer.lease is not None:
        open_runs().set_lease(*key, granted_at=answer.lease.granted_at, detail=None)
    elif answer.reason != said:
        open_runs().set_lease(*key, detail=answer.reason)
    return answer


def _training_is_settled(request: LeaseRequest) -> bool:
    """Whether the NIM has its GPUs for training, had them, or needs none."""
    stage = open_runs().nim(request.job_id, request.slug).stages.get(StageName.CUSTOMIZE)
    if stage is not None and stage.status.is_over:
        return True
    return any(one.nim == request.nim and one.kind is LeaseKind.TRAINING for one in open_leases().held())


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


def _needed(run: Run, slug: str, kind: LeaseKind) -> int:
    """GPUs that are needed now. Skips a deployment that would have nothing to evaluate."""
    config = load_config(run)
    nim, facts = run.runs.nim(run.job_id, slug), facts_of(config, slug)
    if kind is LeaseKind.TRAINING:
        done = _is_completed(nim, StageName.CUSTOMIZE)
        return 0 if done or facts.customization is None else facts.customization.num_gpus
    due = (Stage.BASE, Stage.CUSTOMIZED) if config.is_embedding else (Stage.BASE, Stage.ICL, Stage.CUSTOMIZED)
    if all(_is_completed(nim, EVALUATIONS[which]) for which in due):
        reason = "nothing is left to evaluate"
        for stage in (StageName.DEPLOY, StageName.ADAPTER):
            run.runs.set_stage(run.job_id, slug, stage, status=StageStatus.SKIPPED.value, detail=reason)
        raise AirflowSkipException(reason)
    return facts.gpus or 0


def _is_completed(nim: NimDocument, stage: StageName) -> bool:
    document = nim.stages.get(stage)
    return document is not None and document.status is StageStatus.COMPLETED

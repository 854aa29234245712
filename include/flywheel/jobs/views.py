"""Run documents as the jobs API shows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from include.flywheel.evaluation.measures import HIGHEST_GRADE, LOWEST_GRADE, SIMILARITY
from include.flywheel.jobs import wire
from include.flywheel.jobs.wire import DeploymentStatus
from include.flywheel.runs import ids
from include.flywheel.runs.documents import NimDocument, RunDocument, Stage, now
from include.flywheel.runs.search import RunSummary
from include.flywheel.runs.states import NimStatus, RunStatus, StageName, StageStatus

_EVALUATIONS = {
    StageName.BASE_EVAL: "base-eval",
    StageName.ICL_EVAL: "icl-eval",
    StageName.CUSTOMIZED_EVAL: "customized-eval",
}
_DEPLOYMENT = {
    StageStatus.PENDING: DeploymentStatus.PENDING,
    StageStatus.SUBMITTED: DeploymentStatus.CREATED,
    StageStatus.RUNNING: DeploymentStatus.RUNNING,
    StageStatus.COMPLETED: DeploymentStatus.READY,
    StageStatus.FAILED: DeploymentStatus.FAILED,
    StageStatus.CANCELLED: DeploymentStatus.CANCELLED,
}


def list_item(run: RunDocument | RunSummary) -> wire.JobListItem:
    """A run in a list."""
    return wire.JobListItem(**_common(run))


def detail(run: RunDocument, nims: Sequence[NimDocument], at: str | None = None) -> wire.JobDetail:
    """All of a run. `at`: the moment to which what goes on is counted; None: now."""
    moment = at or now()
    ledger = (run.dataset or {}).get("ledger", {})
    return wire.JobDetail(
        **_common(run),
        num_records=ledger.get("records_read", 0),
        llm_judge=judge_of(run),
        nims=[_nim(run, nim, moment) for nim in nims],
    )


def judge_of(run: RunDocument) -> wire.LlmJudge | None:
    """The judge of a run; None where nobody judges."""
    judge = run.judge
    if judge is None:
        return None
    status = judge.deployment_status
    if status is None:
        status = DeploymentStatus.PENDING if judge.type == "local" else DeploymentStatus.READY
    words = set(DeploymentStatus)
    return wire.LlmJudge.model_validate(
        {
            "model_name": judge.model,
            "type": judge.type,
            "deployment_status": status if status in words else DeploymentStatus.UNKNOWN,
            "error": judge.error,
        }
    )


def _common(run: RunDocument | RunSummary) -> dict[str, Any]:
    return {
        "id": run.job_id,
        "workload_id": run.workload_id,
        "client_id": run.client_id,
        "status": run.status,
        "started_at": run.started_at or run.created_at,
        "finished_at": run.finished_at,
        "datasets": _datasets(run),
        "error": run.error,
    }


def _datasets(run: RunDocument | RunSummary) -> list[wire.Dataset]:
    if run.dataset is None:
        return []
    ledger = run.dataset.get("ledger", {})
    records = sum(ledger.get(part, 0) for part in ("train", "val", "eval"))
    return [wire.Dataset(name=ids.dataset(run.job_id), num_records=records, nmp_uri=run.dataset_uri)]


def _nim(run: RunDocument, nim: NimDocument, moment: str) -> wire.Nim:
    status, error = _nim_status(run, nim)
    over = run.finished_at if run.status.is_over else None
    until = nim.undeployed_at or over or moment
    return wire.Nim(
        model_name=nim.nim,
        status=status,
        deployment_status=_deployment_status(nim, status),
        runtime_seconds=_seconds(_beginning(nim), until),
        evaluations=[
            _evaluation(run, _EVALUATIONS[name], stage, until)
            for name, stage in _in_order(nim, _EVALUATIONS)
            if _is_shown(stage)
        ],
        customizations=[
            _customization(run, nim, stage, until)
            for _, stage in _in_order(nim, [StageName.CUSTOMIZE])
            if _is_shown(stage)
        ],
        not_run=[
            wire.NotRun(stage=name.value, reason=stage.detail or "no reason is written down")
            for name, stage in _in_order(nim, StageName)
            if stage.status is StageStatus.SKIPPED
        ],
        error=error,
    )


def _nim_status(run: RunDocument, nim: NimDocument) -> tuple[NimStatus, str | None]:
    """As it is written down, unless that cannot be: nothing goes on in a run that is over, and a NIM that has
    no evaluation to show is not completed.
    """
    if nim.status is NimStatus.COMPLETED:
        evaluated = any(
            nim.stages[name].status is StageStatus.COMPLETED for name in _EVALUATIONS if name in nim.stages
        )
        return (nim.status, nim.error) if evaluated else (NimStatus.FAILED, nim.error or "no evaluation")
    if nim.status.is_over or not run.status.is_over:
        return nim.status, nim.error
    cancelled = run.status is RunStatus.CANCELLED
    status = NimStatus.CANCELLED if cancelled else NimStatus.FAILED
    return status, nim.error or run.error or f"the run ended while it was {nim.status.value}"


def _deployment_status(nim: NimDocument, status: NimStatus) -> DeploymentStatus:
    stage = nim.stages.get(StageName.DEPLOY)
    if stage is None or stage.status is StageStatus.SKIPPED:
        # Never deployed: still to come, not needed any more, or not to come.
        ends = {NimStatus.COMPLETED: DeploymentStatus.COMPLETED}
        return ends.get(status, DeploymentStatus.CANCELLED) if status.is_over else DeploymentStatus.PENDING
    if stage.status is StageStatus.COMPLETED and nim.undeployed_at is not None:
        return DeploymentStatus.COMPLETED
    if status.is_over and not stage.status.is_over:
        return DeploymentStatus.UNKNOWN
    return _DEPLOYMENT[stage.status]


def _evaluation(run: RunDocument, eval_type: str, stage: Stage, until: str) -> wire.Evaluation:
    scores = {name: _shown_score(name, value) for name, value in stage.scores.items()}
    return wire.Evaluation.model_validate(
        _times(run, stage, until) | {"eval_type": eval_type, "scores": scores, "nmp_uri": stage.remote_uri}
    )


def _customization(run: RunDocument, nim: NimDocument, stage: Stage, until: str) -> wire.Customization:
    done = stage.status is StageStatus.COMPLETED
    return wire.Customization.model_validate(
        _times(run, stage, until)
        | {
            "epochs_completed": int(stage.figures.get("epochs_completed", 0)),
            "steps_completed": int(stage.figures.get("steps_completed", 0)),
            "nmp_uri": stage.remote_uri,
            "customized_model": nim.customized_model if done else None,
        }
    )


def _times(run: RunDocument, stage: Stage, until: str) -> dict[str, Any]:
    """What evaluations and customizations have in common."""
    began = stage.started_at or stage.submitted_at or stage.finished_at or run.started_at or run.created_at
    failed = stage.status in {StageStatus.FAILED, StageStatus.CANCELLED}
    done = stage.status is StageStatus.COMPLETED
    return {
        "started_at": began,
        "finished_at": stage.finished_at if stage.status.is_over else None,
        "runtime_seconds": _seconds(began, stage.finished_at or until),
        "progress": 100.0 if done else min(max(stage.progress_percent or 0.0, 0.0), 100.0),
        "error": (stage.error or stage.detail or stage.status.value) if failed else None,
    }


def _is_shown(stage: Stage) -> bool:
    """Whether it began, or was to begin and failed."""
    if stage.status is StageStatus.SKIPPED:
        return False
    return stage.submitted_at is not None or stage.status.is_over


def _in_order(nim: NimDocument, names: Iterable[StageName]) -> list[tuple[StageName, Stage]]:
    return [(name, nim.stages[name]) for name in names if name in nim.stages]


def _shown_score(name: str, value: float) -> float:
    """A judge's similarity is a grade; it is stored, like every score, as a share of what can be had."""
    if name != SIMILARITY:
        return value
    return round(LOWEST_GRADE + value * (HIGHEST_GRADE - LOWEST_GRADE), 6)


def _beginning(nim: NimDocument) -> str | None:
    """When anything of it was first asked for."""
    moments = [lease.asked_at for lease in nim.leases.values()]
    moments += [stage.submitted_at for stage in nim.stages.values() if stage.submitted_at]
    return min(moments, default=None)


def _seconds(start: str | None, end: str) -> float:
    """Clocks of two machines may differ: never negative."""
    if start is None:
        return 0.0
    length = datetime.fromisoformat(end) - datetime.fromisoformat(start)
    return max(round(length.total_seconds(), 3), 0.0)

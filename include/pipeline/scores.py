"""After its evaluations: keep a NIM's per-item scores and say how the NIM fared."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from include.airflow_nemo.hook import NemoHook
from include.flywheel.errors import FlywheelError
from include.flywheel.evaluation.items import read_results
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import Stage, aggregate_scores
from include.flywheel.runs.documents import NimDocument, now
from include.flywheel.runs.documents import Stage as StageDocument
from include.flywheel.runs.repository import REFERENCE
from include.flywheel.runs.states import NimStatus, StageName, StageStatus
from include.nemo import evaluator
from include.nemo.errors import NotFound
from include.pipeline.run import Run, current_run, name_in_grid, telling
from include.pipeline.stages import EVALUATIONS


def keep_scores(nim: dict[str, str]) -> None:
    """Fetch what the NIM's evaluations measured. Runs whatever happened before; never fails another NIM."""
    name_in_grid(nim)
    run, slug = current_run(), nim["slug"]
    with telling(run, slug):
        with NemoHook().client() as nemo:
            for which in (Stage.BASE, Stage.ICL, Stage.CUSTOMIZED):
                document = run.runs.nim(run.job_id, slug)
                model = document.customized_model if which is Stage.CUSTOMIZED else document.nim
                _keep_stage(nemo, run, slug, which, nim["name"], model or nim["name"])
        _say_how_it_fared(run, run.runs.nim(run.job_id, slug))


def keep_reference_scores() -> None:
    """Fetch what the production model scored when it was asked again, if it was."""
    run = current_run()
    with telling(run, REFERENCE, StageName.REFERENCE_EVAL):
        reference = run.runs.get(run.job_id).reference
        if reference is None:
            return
        with NemoHook().client() as nemo:
            _keep_stage(nemo, run, REFERENCE, Stage.REFERENCE, reference.model, reference.model)


def _keep_stage(nemo: Any, run: Run, slug: str, which: Stage, nim: str, model: str) -> None:
    stage = EVALUATIONS[which]
    document = run.runs.stage(run.job_id, slug, stage)
    if document.remote_id is None:
        return
    try:
        job = nemo.send(evaluator.get_job(document.remote_id))
    except NotFound:
        _fail(run, slug, stage, document, f"evaluation job {document.remote_id} is gone")
        return
    if not job.state.ok:
        said = job.status_details.message if job.status_details else None
        _fail(
            run, slug, stage, document, f"evaluation job {job.id} is {job.state}: {said or 'no reason given'}"
        )
        return
    try:
        scores = _read(nemo, run, document.remote_id, which, nim, model)
    except FlywheelError as error:
        _fail(run, slug, stage, document, str(error))
        return
    run.runs.save_scores(run.job_id, slug, scores)
    run.runs.set_stage(
        run.job_id,
        slug,
        stage,
        status=StageStatus.COMPLETED.value,
        finished_at=document.finished_at or now(),
        scores=scores.means(),
        items=scores.items,
        progress_percent=100.0,
        detail=scores.disagreement or document.detail,
    )


def _read(nemo: Any, run: Run, remote_id: str, which: Stage, nim: str, model: str) -> StageScores:
    aggregate = aggregate_scores(nemo.send(evaluator.get_results(remote_id)).model_dump())
    dataset = run.runs.get(run.job_id).dataset or {}
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "results.zip"
        nemo.download(evaluator.download_results(remote_id), archive)
        return read_results(
            archive,
            nim=nim,
            model=model,
            stage=which,
            aggregate=aggregate,
            expected_items=dataset.get("ledger", {}).get("eval"),
        )


def _fail(run: Run, slug: str, stage: StageName, document: StageDocument, reason: str) -> None:
    if document.status.is_over and document.error:
        return
    run.runs.set_stage(
        run.job_id, slug, stage, status=StageStatus.FAILED.value, error=reason, finished_at=now()
    )


def _say_how_it_fared(run: Run, nim: NimDocument) -> None:
    """A NIM is completed when everything that was due was done; its scores count either way."""
    reasons = []
    for stage in (StageName.DEPLOY, StageName.CUSTOMIZE, StageName.ADAPTER, *_NIM_EVALUATIONS):
        document = nim.stages.get(stage)
        if document is None:
            run.runs.set_stage(
                run.job_id, nim.slug, stage, status=StageStatus.SKIPPED.value, detail=_why_not_run(nim, stage)
            )
        elif document.status is StageStatus.FAILED:
            reasons.append(f"{stage.value}: {document.error or document.detail or 'failed'}")
        elif not document.status.is_over:
            reasons.append(f"{stage.value}: ended while {document.status.value}")
    if reasons:
        run.runs.set_nim_status(run.job_id, nim.slug, NimStatus.FAILED, error="; ".join(reasons))
    elif any(stage not in nim.stages for stage in (StageName.DEPLOY, StageName.BASE_EVAL)):
        run.runs.set_nim_status(
            run.job_id, nim.slug, NimStatus.FAILED, error="its stages did not run: see the run's own error"
        )
    else:
        run.runs.set_nim_status(run.job_id, nim.slug, NimStatus.COMPLETED)


_NIM_EVALUATIONS = (StageName.BASE_EVAL, StageName.ICL_EVAL, StageName.CUSTOMIZED_EVAL)


def _why_not_run(nim: NimDocument, stage: StageName) -> str:
    before = {
        StageName.BASE_EVAL: (StageName.DEPLOY,),
        StageName.ICL_EVAL: (StageName.DEPLOY,),
        StageName.CUSTOMIZED_EVAL: (StageName.CUSTOMIZE, StageName.DEPLOY, StageName.ADAPTER),
    }.get(stage, ())
    for earlier in before:
        document = nim.stages.get(earlier)
        if document is not None and document.status in {StageStatus.FAILED, StageStatus.SKIPPED}:
            return f"did not run because {earlier.value} {document.status.value}"
    return "did not run"

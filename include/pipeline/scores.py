"""After its evaluations: keep a NIM's per-item scores and say how the NIM fared."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from include.airflow_nemo.hook import NemoHook
from include.flywheel.errors import FlywheelError
from include.flywheel.evaluation.items import read_results
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import Stage, aggregate_scores
from include.flywheel.runs.documents import NimDocument, now
from include.flywheel.runs.documents import Stage as StageDocument
from include.flywheel.runs.repository import REFERENCE
from include.flywheel.runs.states import NimStatus, StageName, StageStatus
from include.nemo import NemoClient, evaluator
from include.nemo.errors import NotFound
from include.pipeline.run import Run, name_in_grid, telling, working_run
from include.pipeline.stages import EVALUATIONS


@dataclass(frozen=True)
class _Evaluated:
    """One evaluation of one model: where it is written down, and who answered."""

    run: Run
    slug: str
    which: Stage
    nim: str
    model: str

    @property
    def stage(self) -> StageName:
        return EVALUATIONS[self.which]

    def document(self) -> StageDocument:
        return self.run.runs.stage(self.run.job_id, self.slug, self.stage)

    def fail(self, reason: str) -> None:
        """Write the reason down, unless one stands there already."""
        document = self.document()
        if not (document.status.is_over and document.error):
            self.set(status=StageStatus.FAILED.value, error=reason, finished_at=now())

    def set(self, **fields: Any) -> None:
        self.run.runs.set_stage(self.run.job_id, self.slug, self.stage, **fields)


def keep_scores(nim: dict[str, str]) -> None:
    """Fetch what the NIM's evaluations measured. Runs whatever happened before; never fails another NIM."""
    name_in_grid(nim)
    run, slug = working_run(), nim["slug"]
    # What a cancel made of the stages before is no failure of the NIM's.
    run.refuse_if_cancelled()
    with telling(run, slug):
        customized = run.runs.nim(run.job_id, slug).customized_model
        with NemoHook().client() as nemo:
            for which in (Stage.BASE, Stage.ICL, Stage.CUSTOMIZED):
                model = (customized or nim["name"]) if which is Stage.CUSTOMIZED else nim["name"]
                _keep(nemo, _Evaluated(run, slug, which, nim["name"], model))
        _say_how_it_fared(run, run.runs.nim(run.job_id, slug))


def keep_reference_scores() -> None:
    """Fetch what the production model scored when it was asked again, if it was."""
    run = working_run()
    with telling(run, REFERENCE, StageName.REFERENCE_EVAL):
        reference = run.runs.get(run.job_id).reference
        if reference is None:
            raise AirflowSkipException("no production model was asked again")
        with NemoHook().client() as nemo:
            _keep(nemo, _Evaluated(run, REFERENCE, Stage.REFERENCE, reference.model, reference.model))


def _keep(nemo: NemoClient, one: _Evaluated) -> None:
    document = one.document()
    if document.remote_id is None:
        return
    try:
        job = nemo.send(evaluator.get_job(document.remote_id))
        if not job.state.ok:
            said = job.status_details.message if job.status_details else None
            one.fail(f"evaluation job {job.id} is {job.state}: {said or 'no reason given'}")
            return
        scores = _read(nemo, document.remote_id, one)
    except (NotFound, FlywheelError) as error:
        one.fail(str(error))
        return
    one.run.runs.save_scores(one.run.job_id, one.slug, scores)
    one.set(
        status=StageStatus.COMPLETED.value,
        finished_at=document.finished_at or now(),
        scores=scores.means(),
        items=scores.items,
        progress_percent=100.0,
        detail=scores.disagreement or document.detail,
    )


def _read(nemo: NemoClient, remote_id: str, one: _Evaluated) -> StageScores:
    aggregate = aggregate_scores(nemo.send(evaluator.get_results(remote_id)).model_dump())
    dataset = one.run.runs.get(one.run.job_id).dataset or {}
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "results.zip"
        nemo.download(evaluator.download_results(remote_id), archive)
        return read_results(
            archive,
            nim=one.nim,
            model=one.model,
            stage=one.which,
            aggregate=aggregate,
            expected_items=dataset.get("ledger", {}).get("eval"),
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

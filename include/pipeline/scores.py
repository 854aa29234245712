"""After its evaluations: keep a NIM's per-item scores and say how the NIM fared."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from include.airflow_nemo.hook import NemoHook
from include.flywheel.datasets.kinds import RETRIEVAL
from include.flywheel.datasets.spec import QRELS_FILE
from include.flywheel.errors import FlywheelError
from include.flywheel.evaluation import retrieval
from include.flywheel.evaluation.items import read_results
from include.flywheel.evaluation.measures import measure_of
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import Stage, aggregate_scores
from include.flywheel.runs.documents import NimDocument, now
from include.flywheel.runs.documents import Stage as StageDocument
from include.flywheel.runs.repository import REFERENCE
from include.flywheel.runs.states import NimStatus, StageName, StageStatus
from include.nemo import NemoClient, evaluator
from include.nemo.datastore import download_file
from include.nemo.errors import NemoError, NotFound
from include.pipeline.judge import judged
from include.pipeline.likeness import icl_method
from include.pipeline.remote_files import remote_path
from include.pipeline.run import Run, is_last_try, name_in_grid, telling, working_run
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
    run = working_run()
    # What a cancel made of the stages before is no failure of the NIM's.
    run.refuse_if_cancelled()
    with telling(run, nim["slug"]):
        _keep_all(run, nim["slug"])


def keep_what_is_left(run: Run) -> None:
    """The same for NIMs whose own task lost all its tries, so that no run ends before its NIMs."""
    for nim in run.runs.nims(run.job_id):
        if nim.status.is_over:
            continue
        try:
            _keep_all(run, nim.slug)
        except NemoError as error:
            if error.transient and not is_last_try():
                raise
            # One NIM's trouble is that NIM's.
            run.runs.set_nim_status(run.job_id, nim.slug, NimStatus.FAILED, error=f"scores: {error}")


def _keep_all(run: Run, slug: str) -> None:
    nim = run.runs.nim(run.job_id, slug)
    with NemoHook().client() as nemo:
        for which in (Stage.BASE, Stage.ICL, Stage.CUSTOMIZED):
            model = (nim.customized_model or nim.nim) if which is Stage.CUSTOMIZED else nim.nim
            _keep(nemo, _Evaluated(run, slug, which, nim.nim, model))
    _say_how_it_fared(run, run.runs.nim(run.job_id, slug))


def keep_reference_scores() -> None:
    """Fetch what the production model scored when it was asked again, if it was."""
    run = working_run()
    run.refuse_if_cancelled()
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
        classes=[label.model_dump(mode="json") for label in scores.classes],
        items=scores.items,
        progress_percent=100.0,
        detail=scores.disagreement or _method(one) or document.detail,
    )


def _method(one: _Evaluated) -> str | None:
    """Of the stage with examples: by what these were chosen."""
    return icl_method(one.run.runs.get(one.run.job_id).dataset) if one.which is Stage.ICL else None


def _read(nemo: NemoClient, remote_id: str, one: _Evaluated) -> StageScores:
    results = nemo.send(evaluator.get_results(remote_id)).model_dump()
    dataset = one.run.runs.get(one.run.job_id).dataset or {}
    expected = dataset.get("ledger", {}).get("eval")
    measure = measure_of(dataset)
    whose: dict[str, Any] = {"nim": one.nim, "model": one.model, "stage": one.which}
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "results.zip"
        nemo.download(evaluator.download_results(remote_id), archive)
        if measure.kind == RETRIEVAL:
            told = retrieval.aggregate_scores(results)
            known = partial(_relevance, nemo, one.run, Path(folder) / "qrels.tsv")
            return retrieval.read_retrieval(
                archive, **whose, aggregate=told, expected_items=expected, relevance=known
            )
        told = aggregate_scores(results, task=measure.task, metric=measure.metric, shown=measure.shown)
        scores = read_results(archive, **whose, aggregate=told, expected_items=expected, measure=measure)
        source = f"the results of {one.model} at {one.which}"
        return judged(one.run, one.slug, one.which, archive, scores, source=source)


def _relevance(nemo: NemoClient, run: Run, path: Path) -> retrieval.Relevance:
    """Which documents answer each query of the holdout, as the run's data set in the Data Store says."""
    nemo.download(download_file(f"{NemoHook().namespace}/{run.dataset}", remote_path(QRELS_FILE)), path)
    with path.open(encoding="utf-8") as lines:
        return retrieval.judgements(lines)


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

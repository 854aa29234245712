"""From scores to a verdict, and the winner written down."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from include.flywheel.config.conf import ResolvedConfig
from include.flywheel.errors import DecisionError
from include.flywheel.evaluation.decision import Decision, DecisionInputs, MissingStage
from include.flywheel.evaluation.measures import KindMeasure, measure_of
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import Stage
from include.flywheel.evaluation.verdict import decide
from include.flywheel.runs.digests import decision_digest, scores_digest
from include.flywheel.runs.documents import NimDocument, RunDocument, now
from include.flywheel.runs.states import RunStatus, StepName
from include.pipeline.embedding import base_as_bar
from include.pipeline.leases import close_all_leases
from include.pipeline.prepare import load_config
from include.pipeline.run import Run, current_run, telling, working_run
from include.pipeline.scores import keep_what_is_left
from include.pipeline.shared_nims import leave_shared
from include.pipeline.stages import EVALUATIONS
from include.pipeline.thumbs import with_agreement
from include.pipeline.undeploy import take_down

log = logging.getLogger(__name__)


def decide_run() -> str:
    """The verdict, from the stored scores; returns the word. Fails when no NIM could be evaluated."""
    run = working_run()
    with telling(run), run.runs.at_step(run.job_id, StepName.DECIDE):
        document = run.runs.get(run.job_id)
        if document.resolved is None or document.dataset is None or document.dataset_uri is None:
            raise DecisionError(
                document.error or "the run ended before its data set was ready: see the first tasks"
            )
        keep_what_is_left(run)
        decision = decide(_inputs(run, document))
        written = decision.model_dump(mode="json")
        digests = {
            "digests.scores": scores_digest(run.runs.scores(run.job_id)),
            "digests.decision": decision_digest(written),
        }
        thumbs = with_agreement(run, document, decision.primary_score)
        run.runs.update(run.job_id, decision=written, **digests, **thumbs)
        log.info("%s: %s", decision.verdict, decision.reason)
        return decision.verdict.value


def _inputs(run: Run, document: RunDocument) -> DecisionInputs:
    config = load_config(run)
    nims = run.runs.nims(run.job_id)
    scores = [one for _, one in run.runs.scores(run.job_id)]
    scored = {(one.nim, one.stage) for one in scores if one.stage is not Stage.REFERENCE}
    if not scored:
        reasons = "; ".join(f"{nim.nim}: {nim.error or 'no reason given'}" for nim in nims)
        raise DecisionError(f"no NIM could be evaluated. {reasons}")
    candidates, reference = _apart(scores, base_as_bar(config))
    missing = [
        MissingStage(nim=nim.nim, stage=stage, reason=_why_missing(nim, stage))
        for nim in nims
        for stage in (Stage.BASE, Stage.ICL, Stage.CUSTOMIZED)
        if (nim.nim, stage) not in scored
    ]
    measure = measure_of(document.dataset)
    primary = measure.primary_of(one.scores for one in candidates)
    missing += [
        MissingStage(nim=one.nim, stage=one.stage, reason=_why_not_judged(document, primary))
        for one in candidates
        if primary not in one.scores
    ]
    reference_note = _why_no_reference(document, reference is not None)
    if reference is not None and primary not in reference.scores:
        reference, reference_note = None, _why_not_judged(document, primary)
    return DecisionInputs(
        candidates=[one for one in candidates if primary in one.scores],
        missing=missing,
        reference=reference,
        reference_missing_reason=reference_note,
        min_quality=_min_quality(config, measure, primary),
        gate=config.gate,
        seed=config.seed,
        primary_score=primary,
        price_per_million_tokens_usd=_prices(config),
        parameters_billions={nim.name: nim.parameters / 1e9 for nim in config.nims},
    )


def _apart(
    scores: Iterable[StageScores], production: str | None
) -> tuple[list[StageScores], StageScores | None]:
    """The candidates, and the production model's scores.

    `production`: the NIM of the run whose base is in production. It is no candidate to replace itself.
    """
    candidates, reference = [], None
    for one in scores:
        if one.stage is Stage.REFERENCE:
            reference = reference or one
        elif (one.nim, one.stage) == (production, Stage.BASE):
            reference = one.model_copy(update={"stage": Stage.REFERENCE})
        else:
            candidates.append(one)
    return candidates, reference


def _prices(config: ResolvedConfig) -> dict[str, float]:
    """US dollars per million tokens, input and output in equal parts, of the NIMs whose price is known."""
    return {
        nim.name: (nim.price_per_million_tokens.input_usd + nim.price_per_million_tokens.output_usd) / 2
        for nim in config.nims
        if nim.price_per_million_tokens is not None
    }


def _min_quality(config: ResolvedConfig, measure: KindMeasure, primary: str) -> float | None:
    """The product's threshold. Where a judge is configured it was said for the judge's score alone."""
    judge_failed = measure.judge_decides and config.judge is not None and primary != measure.judged
    return None if judge_failed else config.workload.non_negotiable.min_quality


def _why_not_judged(document: RunDocument, score: str) -> str:
    judge = document.judge
    return f"it has no {score}: {(judge and judge.error) or 'it was not judged'}"


def _why_missing(nim: NimDocument, stage: Stage) -> str:
    document = nim.stages.get(EVALUATIONS[stage])
    if document is not None and (document.error or document.detail):
        return str(document.error or document.detail)
    return nim.error or "it did not run"


def _why_no_reference(document: RunDocument, scored: bool) -> str | None:
    if scored or document.reference is None:
        return None
    return document.reference.stage.error or "the production model's evaluation did not end"


def record() -> list[str]:
    """Write the winners down and call the run completed; returns their names.

    A run is completed when nothing of it runs any more: a deployment that was forgotten costs on.
    """
    run = current_run()
    with telling(run), run.runs.at_step(run.job_id, StepName.RECORD_WINNERS):
        document = run.runs.get(run.job_id)
        decision = Decision.model_validate(document.decision)
        winners = [] if decision.winner is None else [decision.winner.model_dump(mode="json")]
        take_down(run)
        close_all_leases(run)
        leave_shared(run)
        run.runs.set_status(
            run.job_id, RunStatus.COMPLETED, winners=winners, everything_down_at=now(), finished_at=now()
        )
        return [winner["nim"] for winner in winners]

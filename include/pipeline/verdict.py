"""From scores to a verdict, and the winner written down."""

from __future__ import annotations

import logging

from include.flywheel.errors import DecisionError
from include.flywheel.evaluation.decision import Decision, DecisionInputs, MissingStage
from include.flywheel.evaluation.specs import Stage
from include.flywheel.evaluation.verdict import decide
from include.flywheel.runs.digests import decision_digest, scores_digest
from include.flywheel.runs.documents import NimDocument, RunDocument, now
from include.flywheel.runs.states import RunStatus, StepName
from include.pipeline.leases import close_all_leases
from include.pipeline.prepare import load_config
from include.pipeline.run import Run, current_run, telling, working_run
from include.pipeline.stages import EVALUATIONS
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
        decision = decide(_inputs(run, document))
        written = decision.model_dump(mode="json")
        digests = {
            "digests.scores": scores_digest(run.runs.scores(run.job_id)),
            "digests.decision": decision_digest(written),
        }
        run.runs.update(run.job_id, decision=written, **digests)
        log.info("%s: %s", decision.verdict, decision.reason)
        return decision.verdict.value


def _inputs(run: Run, document: RunDocument) -> DecisionInputs:
    config = load_config(run)
    nims = run.runs.nims(run.job_id)
    scores = [one for _, one in run.runs.scores(run.job_id)]
    candidates = [one for one in scores if one.stage is not Stage.REFERENCE]
    if not candidates:
        reasons = "; ".join(f"{nim.nim}: {nim.error or 'no reason given'}" for nim in nims)
        raise DecisionError(f"no NIM could be evaluated. {reasons}")
    reference = next((one for one in scores if one.stage is Stage.REFERENCE), None)
    scored = {(one.nim, one.stage) for one in candidates}
    missing = [
        MissingStage(nim=nim.nim, stage=stage, reason=_why_missing(nim, stage))
        for nim in nims
        for stage in (Stage.BASE, Stage.ICL, Stage.CUSTOMIZED)
        if (nim.nim, stage) not in scored
    ]
    prices = {
        nim.name: (nim.price_per_million_tokens.input_usd + nim.price_per_million_tokens.output_usd) / 2
        for nim in config.nims
        if nim.price_per_million_tokens is not None
    }
    return DecisionInputs(
        candidates=candidates,
        missing=missing,
        reference=reference,
        reference_missing_reason=_why_no_reference(document, reference is not None),
        min_quality=config.workload.non_negotiable.min_quality,
        gate=config.gate,
        seed=config.seed,
        price_per_million_tokens_usd=prices,
        parameters_billions={nim.name: nim.parameters / 1e9 for nim in config.nims},
    )


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
        run.runs.set_status(
            run.job_id, RunStatus.COMPLETED, winners=winners, everything_down_at=now(), finished_at=now()
        )
        return [winner["nim"] for winner in winners]

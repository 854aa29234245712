"""Decides a run from its per-item scores: `decide` is the only way in.

A candidate (a NIM at a stage) is compared with the bar on the same items, by conversations:

- the production model asked again (`reference`): PROMOTABLE when the lower end of the interval of
  candidate minus reference lies above -margin, REJECTED when its upper end lies below -margin;
- else the product's threshold (`min_quality`): PROMOTABLE when the lower end of the candidate's own
  interval reaches it, REJECTED when the upper end lies below it;
- else there is no bar, and nothing can be concluded.

Guardrails are further scores in which it may not be worse either; they can only hold a promotion back.

Several NIMs are several chances to be promoted by luck. Each NIM is tested at alpha / number of NIMs
(Bonferroni) and, within a NIM, a stage is tested only when the one before it passed: customized, icl,
base (fixed sequence). The chance that a run promotes any model that is worse by the margin is then at
most alpha. Holm's correction within the graphical procedure of Bretz et al. (Statistics in Medicine 28
(2009) 586), Tango's score test for paired 0/1 scores and the self-agreement bar replace this simple form
behind the same function.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from include.flywheel.evaluation.bar import (
    Compared,
    Measure,
    check_items,
    choose_bar,
    compare,
    mostly_unanswered,
    own_score,
    unanswered,
)
from include.flywheel.evaluation.bootstrap import resamples_for
from include.flywheel.evaluation.decision import (
    Bar,
    BarKind,
    CandidateDecision,
    Decision,
    DecisionInputs,
    Estimate,
    MissingStage,
    Verdict,
    Winner,
)
from include.flywheel.evaluation.gate import Gate
from include.flywheel.evaluation.guardrails import check_guardrails, held_back
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import Stage
from include.flywheel.evaluation.winner import choose
from include.flywheel.evaluation.words import number, percent, points

__all__ = ["Decision", "DecisionInputs", "Estimate", "MissingStage", "Verdict", "Winner", "decide"]

TEST_ORDER = (Stage.CUSTOMIZED, Stage.ICL, Stage.BASE)
"""The fixed sequence in which the stages of a NIM are tested."""


def decide(inputs: DecisionInputs) -> Decision:
    """Decide a run. The same inputs, in whatever order, give the same Decision, byte for byte.

    Raises DecisionError where the candidates and the reference were not scored on the same items, or
    the primary score was not measured.
    """
    candidates = sorted(inputs.candidates, key=lambda stage: (stage.nim, stage.stage.order))
    check_items([*candidates, *([inputs.reference] if inputs.reference else [])])
    nims = len({candidate.nim for candidate in candidates})
    measure = Measure(
        score=inputs.primary_score,
        level=inputs.gate.alpha / max(1, nims),
        resamples=resamples_for(inputs.gate.alpha / max(1, nims), inputs.gate.resamples),
        seed=inputs.seed,
    )
    bar = choose_bar(inputs, measure)
    decided = _in_sequence([_candidate(c, candidates, bar, inputs, measure) for c in candidates])
    winner = choose(decided, inputs.price_per_million_tokens_usd, inputs.parameters_billions)
    missing = sorted(inputs.missing, key=lambda entry: (entry.nim, entry.stage.order))
    return Decision(
        verdict=_verdict(decided, winner),
        reason=_reason(decided, missing, bar, winner),
        primary_score=inputs.primary_score,
        bar=bar,
        candidates=decided,
        missing=missing,
        winner=winner,
        gate=inputs.gate,
        seed=inputs.seed,
        level=round(measure.level, 9),
        interval_confidence=round(1 - 2 * measure.level, 9),
        resamples=measure.resamples,
        correction=_correction(inputs.gate.alpha, nims),
    )


def _candidate(
    stage: StageScores,
    candidates: Sequence[StageScores],
    bar: Bar,
    inputs: DecisionInputs,
    measure: Measure,
) -> CandidateDecision:
    """Judge one candidate by itself, before the sequence within its NIM."""
    compared = compare(stage, bar, inputs.reference, measure)
    score = own_score(stage, measure)
    guardrails = check_guardrails(stage, bar, inputs.reference, inputs.gate, measure)
    verdict, reason = held_back(*_judge(stage, score, compared, bar, inputs.gate), guardrails)
    mean = stage.mean(measure.score)
    return CandidateDecision(
        nim=stage.nim,
        model=stage.model,
        stage=stage.stage,
        verdict=verdict,
        reason=reason,
        rank=1 + sum(other.mean(measure.score) > mean for other in candidates),
        score=score,
        difference=compared.difference,
        scores={name: round(value, 6) for name, value in stage.means().items()},
        items=compared.items,
        conversations=compared.conversations,
        errors=stage.errors,
        guardrails=guardrails,
        judged=not mostly_unanswered(stage),
    )


def _judge(
    stage: StageScores, score: Estimate, compared: Compared, bar: Bar, gate: Gate
) -> tuple[Verdict, str]:
    if mostly_unanswered(stage):
        return Verdict.INCONCLUSIVE, unanswered(stage)
    if compared.difference is None:
        return Verdict.INCONCLUSIVE, "there is no bar to compare with"
    if compared.conversations < gate.min_conversations:
        return Verdict.INCONCLUSIVE, (
            f"only {compared.conversations} conversations; a verdict may rest on {gate.min_conversations} or "
            "more: raise eval_size, or bring logs of more conversations"
        )
    if bar.kind is BarKind.REFERENCE:
        return _against_reference(compared.difference, bar, gate.margin)
    return _against_threshold(compared.difference, score, bar)


def _against_reference(difference: Estimate, bar: Bar, margin: float) -> tuple[Verdict, str]:
    allowed = f"the margin of {number(margin)} points"
    if difference.low > -margin:
        return (
            Verdict.PROMOTABLE,
            f"at worst {points(difference.low)} points against {bar.model}, within {allowed}",
        )
    if difference.high < -margin:
        return (
            Verdict.REJECTED,
            f"at best {points(difference.high)} points against {bar.model}, beyond {allowed}",
        )
    return Verdict.INCONCLUSIVE, (
        f"between {points(difference.low)} and {points(difference.high)} points against {bar.model}, on both "
        f"sides of {allowed}; more conversations (a larger eval_size) narrow it"
    )


def _against_threshold(difference: Estimate, score: Estimate, bar: Bar) -> tuple[Verdict, str]:
    asked = f"the {percent(bar.threshold or 0.0)} of min_quality"
    if difference.low >= 0:
        return Verdict.PROMOTABLE, f"at worst {percent(score.low)}, not below {asked}"
    if difference.high < 0:
        return Verdict.REJECTED, f"at best {percent(score.high)}, below {asked}"
    return Verdict.INCONCLUSIVE, (
        f"between {percent(score.low)} and {percent(score.high)}, on both sides of {asked}; "
        "more conversations (a larger eval_size) narrow it"
    )


def _in_sequence(candidates: Sequence[CandidateDecision]) -> list[CandidateDecision]:
    """Withhold PROMOTABLE from a stage when one that is tested before it, on the same NIM, did not pass.

    A stage without scores, or with too few answers to be judged, is no test: the sequence goes past it.
    """
    stopped_by: dict[str, Stage] = {}
    decided = {}
    for candidate in sorted(candidates, key=lambda c: TEST_ORDER.index(c.stage)):
        before = stopped_by.get(candidate.nim)
        if before is not None and candidate.verdict is Verdict.PROMOTABLE:
            reason = (
                f"{candidate.reason}, but {before} did not pass, and {candidate.stage} of a NIM is "
                "tested only after it; this is how the chance of a lucky promotion is held"
            )
            decided[candidate.nim, candidate.stage] = candidate.model_copy(
                update={"verdict": Verdict.INCONCLUSIVE, "reason": reason}
            )
            continue
        decided[candidate.nim, candidate.stage] = candidate
        if candidate.judged and candidate.verdict is not Verdict.PROMOTABLE:
            stopped_by.setdefault(candidate.nim, candidate.stage)
    return [decided[candidate.nim, candidate.stage] for candidate in candidates]


def _verdict(candidates: Sequence[CandidateDecision], winner: Winner | None) -> Verdict:
    if winner is not None:
        return Verdict.PROMOTABLE
    rejected = all(candidate.verdict is Verdict.REJECTED for candidate in candidates)
    return Verdict.REJECTED if candidates and rejected else Verdict.INCONCLUSIVE


def _reason(
    candidates: Sequence[CandidateDecision], missing: Sequence[MissingStage], bar: Bar, winner: Winner | None
) -> str:
    if winner is not None:
        return f"{winner.nim} ({winner.stage}) wins: {winner.rule}"
    if not candidates:
        causes = "; ".join(f"{entry.nim} at {entry.stage}: {entry.reason}" for entry in missing)
        return f"no candidate has scores: {causes or 'none was evaluated'}"
    if bar.kind is BarKind.NONE:
        return f"there is no bar to compare with: {bar.remedy}"
    counts = Counter(candidate.verdict for candidate in candidates)
    if counts[Verdict.REJECTED] == len(candidates):
        return f"every candidate is rejected ({len(candidates)})"
    open_ = counts[Verdict.INCONCLUSIVE]
    return f"no candidate passed: {counts[Verdict.REJECTED]} rejected, {open_} inconclusive"


def _correction(alpha: float, nims: int) -> str:
    order = ", ".join(TEST_ORDER)
    return (
        f"Bonferroni: alpha {alpha:g} shared by {max(1, nims)} NIM{'s' if nims > 1 else ''}; "
        f"within a NIM the stages are tested in the order {order}, each only after the one before it passed"
    )

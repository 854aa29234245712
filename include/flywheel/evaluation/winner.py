"""Which of the candidates that passed is chosen: the cheapest one, as far as that is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from include.flywheel.evaluation.decision import CandidateDecision, Verdict, Winner

BY_PRICE = "the lowest price per million tokens among the candidates that passed"
BY_SIZE = "the fewest parameters among the candidates that passed (not every price is known)"
BY_SCORE = "the best score among the candidates that passed (neither every price nor every size is known)"
ONLY_ONE = "the only candidate that passed"


def choose(
    candidates: Sequence[CandidateDecision],
    price_per_million_tokens_usd: Mapping[str, float] | None,
    parameters_billions: Mapping[str, float] | None,
) -> Winner | None:
    """Choose among the PROMOTABLE candidates; None where there is none.

    The lowest price decides where it is known for all of them, else the fewest parameters where those
    are, else the score. Ties go to the better score, then to the stage that is cheaper to prepare
    (base, icl, customized), then to the name.
    """
    passed = [candidate for candidate in candidates if candidate.verdict is Verdict.PROMOTABLE]
    if not passed:
        return None
    cost, rule = _cost(
        {candidate.nim for candidate in passed}, price_per_million_tokens_usd, parameters_billions
    )
    best = min(passed, key=lambda c: (cost.get(c.nim, 0.0), -c.score.value, c.stage.order, c.nim))
    if best.difference is None:
        raise AssertionError(f"{best.nim} at {best.stage} is PROMOTABLE without a difference to a bar")
    return Winner(
        nim=best.nim,
        model=best.model,
        stage=best.stage,
        score=best.score,
        difference=best.difference,
        rule=ONLY_ONE if len(passed) == 1 else rule,
    )


def _cost(
    nims: set[str], prices: Mapping[str, float] | None, sizes: Mapping[str, float] | None
) -> tuple[Mapping[str, float], str]:
    for known, rule in ((prices, BY_PRICE), (sizes, BY_SIZE)):
        if known is not None and nims <= set(known):
            return known, rule
    return {}, BY_SCORE

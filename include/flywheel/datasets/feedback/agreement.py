"""How thumbs and an evaluator's scores agree on the items of a holdout."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from include.flywheel.datasets.feedback.report import Agreement
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.feedback.proportions import Share, wilson

RIGHT_FROM = 0.5
RESAMPLES = 2_000
_TAILS = (2.5, 97.5)

Table = NDArray[np.int64]
"""Counts: up and right, up and wrong, down and right, down and wrong."""


def agreement(
    thumbs: Mapping[str, int], scores: StageScores, score: str, *, seed: int = 0
) -> Agreement | None:
    """The agreement of one model's score with the thumbs (item → 1 or -1); None where no item has both.

    Kappa's interval is a percentile bootstrap that draws whole conversations, seeded: the same arguments give
    the same interval.
    """
    judged = [at for at in scores.scored(score) if scores.item_ids[at] in thumbs]
    if not judged:
        return None
    values = scores.values(score)
    cells = [2 * (thumbs[scores.item_ids[at]] < 0) + (values[at] < RIGHT_FROM) for at in judged]
    tables = _by_conversation(cells, [scores.conversation_ids[at] for at in judged])
    total = tables.sum(axis=0)
    up_right, up_wrong, down_right, down_wrong = total.tolist()
    share = Share(up_right + down_wrong, len(judged))
    low, high = wilson(share)
    kappa = kappas(total[None, :])[0]
    ends = None if np.isnan(kappa) else _bootstrap(tables, seed)
    return Agreement(
        nim=scores.nim,
        stage=scores.stage.value,
        score=score,
        items=len(judged),
        up_right=up_right,
        up_wrong=up_wrong,
        down_right=down_right,
        down_wrong=down_wrong,
        agreement=share.value,
        low=low,
        high=high,
        kappa=None if np.isnan(kappa) else float(kappa),
        kappa_low=ends[0] if ends else None,
        kappa_high=ends[1] if ends else None,
    )


def kappas(tables: Table) -> NDArray[np.float64]:
    """Cohen's kappa of each table (Educational and Psychological Measurement 20 (1960) 37).

    nan where chance alone would agree always: all thumbs and all scores are the same.
    """
    total = tables.sum(axis=1)
    observed = (tables[:, 0] + tables[:, 3]) / total
    up, right = tables[:, 0] + tables[:, 1], tables[:, 0] + tables[:, 2]
    chance = (up * right + (total - up) * (total - right)) / total**2
    with np.errstate(invalid="ignore", divide="ignore"):
        found: NDArray[np.float64] = np.where(chance < 1, (observed - chance) / (1 - chance), np.nan)
    return found


def _by_conversation(cells: list[int], conversations: list[str]) -> Table:
    names, of_item = np.unique(np.array(conversations, dtype=str), return_inverse=True)
    tables: Table = np.zeros((len(names), 4), dtype=np.int64)
    np.add.at(tables, (of_item, np.array(cells)), 1)
    return tables


def _bootstrap(tables: Table, seed: int) -> tuple[float, float] | None:
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(tables), np.full(len(tables), 1 / len(tables)), size=RESAMPLES) @ tables
    found = kappas(drawn)
    found = found[~np.isnan(found)]
    if len(found) < RESAMPLES / 2:
        return None
    low, high = np.percentile(found, _TAILS).tolist()
    return low, high

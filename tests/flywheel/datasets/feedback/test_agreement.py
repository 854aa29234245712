"""How thumbs and scores agree: against a published table, scikit-learn, and over conversations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from include.flywheel.datasets.feedback.agreement import agreement, kappas
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import Stage


def scores(values, conversations=None, unscored=()):
    ids = [f"i{n:03}" for n in range(len(values))]
    return StageScores(
        nim="m",
        model="m",
        stage=Stage.BASE,
        scores={"s": values},
        item_ids=ids,
        conversation_ids=conversations or ids,
        unscored={"s": [ids[n] for n in unscored]} if unscored else {},
    )


def items(up_right, up_wrong, down_right, down_wrong):
    cells = (
        [(1, 1.0)] * up_right + [(1, 0.0)] * up_wrong + [(-1, 1.0)] * down_right + [(-1, 0.0)] * down_wrong
    )
    return {f"i{n:03}": thumb for n, (thumb, _) in enumerate(cells)}, [value for _, value in cells]


def test_kappa_of_the_published_table() -> None:
    """The table 20, 5, 10, 15 of the textbooks: 0.7 observed, 0.5 by chance, kappa 0.4."""
    thumbs, values = items(20, 5, 10, 15)
    found = agreement(thumbs, scores(values), "s")
    assert found is not None
    assert (found.items, found.agreement, found.kappa) == (50, 0.7, pytest.approx(0.4))
    assert (round(found.low, 3), round(found.high, 3)) == (0.562, 0.809)
    assert found.kappa_low is not None
    assert found.kappa_low < 0.4 < (found.kappa_high or 0)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=60))
def test_kappa_is_scikit_learns(pairs) -> None:
    table = np.zeros((1, 4), dtype=np.int64)
    for thumb, right in pairs:
        table[0, 2 * (not thumb) + (not right)] += 1
    if len({thumb for thumb, _ in pairs} | {right for _, right in pairs}) == 1:
        assert np.isnan(kappas(table)[0])
    else:
        assert kappas(table)[0] == pytest.approx(cohen_kappa_score(*zip(*pairs, strict=True)), abs=1e-12)


def test_only_items_with_a_thumb_and_a_score_count() -> None:
    thumbs = {"i000": 1, "i001": -1, "nowhere": 1}
    found = agreement(thumbs, scores([1.0, 0.0, 0.2], unscored=[1]), "s")
    assert found is not None
    assert (found.items, found.up_right, found.kappa) == (1, 1, None)
    assert agreement({"nowhere": 1}, scores([1.0]), "s") is None


def test_a_few_conversations_make_the_interval_wide() -> None:
    thumbs, values = items(20, 5, 10, 15)
    apart = agreement(thumbs, scores(values), "s")
    order = np.random.default_rng(1).permutation(50)
    together = agreement(thumbs, scores(values, [f"c{order[n] // 10}" for n in range(50)]), "s")
    again = agreement(thumbs, scores(values, [f"c{n // 10}" for n in range(50)]), "s")
    assert apart is not None
    assert together is not None
    assert again is not None
    assert together.kappa == again.kappa == apart.kappa
    width = [(one.kappa_high or 0) - (one.kappa_low or 0) for one in (apart, again)]
    assert width[1] > width[0]
    assert agreement(thumbs, scores(values), "s") == apart


def test_the_interval_covers_as_promised() -> None:
    """True kappa by construction: half the items liked, thumbs and scores agree with probability 0.75."""
    rng, covered = np.random.default_rng(5), 0
    for _ in range(80):
        thumbs_up, agree = rng.random(200) < 0.5, rng.random(200) < 0.75
        thumbs = {f"i{n:03}": 1 if up else -1 for n, up in enumerate(thumbs_up)}
        found = agreement(thumbs, scores((thumbs_up == agree).astype(float).tolist()), "s")
        assert found is not None
        covered += (found.kappa_low or 0) <= 0.5 <= (found.kappa_high or 0)
    assert 0.875 <= covered / 80 <= 1

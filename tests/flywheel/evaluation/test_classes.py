"""Precision, recall and F1 by label agree with scikit-learn's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score, precision_recall_fscore_support

from include.flywheel.evaluation.classes import class_scores, f1_macro

PAIRS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["a", "b", "c", "", "z"])), min_size=1)


@given(PAIRS)
def test_they_agree_with_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    truth, predicted = [one for one, _ in pairs], [one for _, one in pairs]
    labels = sorted(set(truth))
    found = class_scores(truth, predicted)
    assert [one.label for one in found] == labels
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=labels, zero_division=0
    )
    for index, one in enumerate(found):
        assert one.precision == pytest.approx(precision[index], abs=1e-6)
        assert one.recall == pytest.approx(recall[index], abs=1e-6)
        assert one.f1 == pytest.approx(f1[index], abs=1e-6)
        assert one.items == support[index]
        assert one.predicted == predicted.count(one.label)
    macro = f1_score(truth, predicted, labels=labels, average="macro", zero_division=0)
    assert f1_macro(found) == pytest.approx(macro, abs=1e-6)


def test_no_label_has_no_mean() -> None:
    with pytest.raises(ValueError, match="no labels"):
        f1_macro([])

"""Precision, recall and F1 of each label, counted from the items' true and predicted labels.

As scikit-learn computes them with `zero_division=0` over the labels that occur in the truth: an answer that
is no such label is wrong for its item, and makes no class of its own that would pull the macro mean down.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field


class ClassScore(BaseModel):
    """How one label was recognised. Precision, recall and F1 are fractions (0..1)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str = Field(description="The label.", examples=["delivery"])
    items: int = Field(ge=0, description="Items whose true label it is.", examples=[30])
    predicted: int = Field(ge=0, description="Items that were answered with it.", examples=[28])
    correct: int = Field(ge=0, description="Items of both.", examples=[27])
    precision: float = Field(
        description="correct / predicted; 0 where it was never answered.", examples=[0.96]
    )
    recall: float = Field(description="correct / items.", examples=[0.9])
    f1: float = Field(description="Their harmonic mean.", examples=[0.93])


def class_scores(truth: Sequence[str], predicted: Sequence[str]) -> list[ClassScore]:
    """One for each label of the truth, sorted by label. Raises ValueError for unequal lengths."""
    items, answers = Counter(truth), Counter(predicted)
    correct = Counter(label for label, answer in zip(truth, predicted, strict=True) if label == answer)
    return [_class(label, items[label], answers[label], correct[label]) for label in sorted(items)]


def f1_macro(classes: Sequence[ClassScore]) -> float:
    """The mean of the labels' F1, each label counting alike. Raises ValueError without labels."""
    if not classes:
        raise ValueError("there are no labels: a macro mean needs at least one")
    return math.fsum(one.f1 for one in classes) / len(classes)


def _class(label: str, items: int, predicted: int, correct: int) -> ClassScore:
    return ClassScore(
        label=label,
        items=items,
        predicted=predicted,
        correct=correct,
        precision=round(correct / predicted, 6) if predicted else 0.0,
        recall=round(correct / items, 6),
        f1=round(2 * correct / (items + predicted), 6),
    )

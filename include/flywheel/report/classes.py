"""How each label of a classification was recognised, as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from include.flywheel.evaluation.classes import ClassScore
from include.flywheel.evaluation.words import number
from include.flywheel.report.text import align

HEAD = ("model", "stage", "label", "items", "predicted", "correct", "precision", "recall", "F1")


def class_lines(stages: Iterable[tuple[str, str, Sequence[ClassScore]]]) -> list[str]:
    """One line for each label of each (model, stage, classes); none where nothing was counted.

    Precision, recall and F1 are in percent.
    """
    rows = [
        [
            model,
            stage,
            one.label,
            str(one.items),
            str(one.predicted),
            str(one.correct),
            number(one.precision),
            number(one.recall),
            number(one.f1),
        ]
        for model, stage, classes in stages
        for one in classes
    ]
    return align([list(HEAD), *rows]) if rows else []

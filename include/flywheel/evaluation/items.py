"""Reads what the evaluator measured on each item out of the archive of an evaluation job."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from pydantic import ValidationError

from include.flywheel.errors import DecisionError
from include.flywheel.evaluation import json_rows
from include.flywheel.evaluation.classes import class_scores, f1_macro
from include.flywheel.evaluation.measures import F1_MACRO, TOOL_CALLING, KindMeasure
from include.flywheel.evaluation.scores import StageScores, duplicates, shown
from include.flywheel.evaluation.specs import Stage

__all__ = ["AGGREGATE_TOLERANCE", "MEMBER", "StageScores", "read_results", "result_rows"]

MEMBER = "results.json"
AGGREGATE_TOLERANCE = 0.0005
"""Difference of two means that rounding to three decimals explains."""


@dataclass(frozen=True, slots=True)
class _Item:
    """What is kept of a row; its messages are let go at once."""

    item_id: str
    conversation_id: str
    scores: tuple[float, ...] | None
    """In the order of the measure's names; None where the model gave no answer."""
    label: str | None = None
    """The true label, where the measure counts classes."""
    answer: str = ""
    """What was answered for it, without space around it."""


def read_results(
    archive: str | Path | IO[bytes],
    *,
    nim: str,
    model: str,
    stage: Stage,
    aggregate: Mapping[str, float] | None = None,
    expected_items: int | None = None,
    measure: KindMeasure = TOOL_CALLING,
) -> StageScores:
    """Read the per-item scores of one evaluation job from its downloaded zip archive.

    `aggregate` holds the evaluator's own means by shown score name (`specs.aggregate_scores`); where one
    differs from the mean of the items, the result's `disagreement` says so. `expected_items` is the
    number of rows in the evaluation file. An item without scores counts as an error and scores 0.
    `measure` says which metric is read, and whether labels are counted.
    Raises DecisionError for an archive that cannot be read, for missing or repeated item ids, for scores
    outside 0..1 and for another number of rows than expected.
    """
    source = f"the results of {model} at {stage}"
    rows = enumerate(result_rows(archive, source))
    items = sorted((_item(number, row, measure, source) for number, row in rows), key=lambda i: i.item_id)
    _check_ids(items, expected_items, source)
    columns = zip(*(item.scores or (0.0,) * len(measure.shown) for item in items), strict=True)
    scores = {name: list(column) for name, column in zip(measure.shown.values(), columns, strict=True)}
    errors = [item.item_id for item in items if item.scores is None]
    classes = class_scores(*_labels(items)) if measure.classes else []
    try:
        return StageScores(
            nim=nim,
            model=model,
            stage=stage,
            scores=scores,
            item_ids=[item.item_id for item in items],
            conversation_ids=[item.conversation_id for item in items],
            error_item_ids=errors,
            disagreement=_disagreement(scores, len(items) - len(errors), aggregate or {}),
            overall={F1_MACRO: f1_macro(classes)} if classes else {},
            classes=classes,
        )
    except ValidationError as error:
        raise DecisionError(f"{source}: {error.errors()[0]['msg']}") from error


def result_rows(archive: str | Path | IO[bytes], source: str) -> Iterator[Any]:
    """The rows of the archive's results, one at a time: `item`, `output_text`, `response`, a column a metric.

    `source` says in errors whose they are. Raises DecisionError for an archive that cannot be read.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [name for name in opened.namelist() if PurePosixPath(name).name == MEMBER]
            if len(members) != 1:
                raise DecisionError(
                    f"{source}: the archive holds {len(members)} files named {MEMBER} among "
                    f"[{shown(sorted(opened.namelist()))}]; one is expected, look at the evaluation job's log"
                )
            with opened.open(members[0]) as stream:
                yield from json_rows.rows(stream)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise DecisionError(
            f"{source}: the archive is not a whole zip file ({error}); download it again"
        ) from error
    except OSError as error:
        raise DecisionError(f"{source}: the archive cannot be read ({error})") from error
    except json_rows.RowsError as error:
        raise DecisionError(f"{source}: {MEMBER} is not a JSON array of rows: {error}") from error


def _item(number: int, row: Any, measure: KindMeasure, source: str) -> _Item:
    if not isinstance(row, dict):
        raise DecisionError(f"{source}: row {number} of {MEMBER} is a {type(row).__name__}, not an object")
    item = row.get("item")
    where = f"{source}: row {row.get('id', number)!r} of {MEMBER}"
    return _Item(
        item_id=_text(item, "item_id", where),
        conversation_id=_text(item, "conversation_id", where),
        scores=_scores(row, measure, where),
        label=_text(item, "label", where) if measure.classes else None,
        answer=str(row.get("output_text") or "").strip() if measure.classes else "",
    )


def _labels(items: list[_Item]) -> tuple[list[str], list[str]]:
    """True and answered labels. An item without an answer is answered with no label."""
    return [item.label or "" for item in items], [
        item.answer if item.scores is not None else "" for item in items
    ]


def _text(item: Any, key: str, where: str) -> str:
    value = item.get(key) if isinstance(item, dict) else None
    if not isinstance(value, str) or not value:
        raise DecisionError(
            f"{where} has {key} {value!r}; every row of the evaluation file carries one, "
            "so that items can be paired: write the file again"
        )
    return value


def _scores(row: dict[str, Any], measure: KindMeasure, where: str) -> tuple[float, ...] | None:
    """Scores in the order of the measure's names; None when the row has none of them."""
    metric = row.get(measure.metric)
    values = [metric.get(name) if isinstance(metric, dict) else None for name in measure.shown]
    if all(value is None for value in values) or row.get("error"):
        return None
    pairs = zip(values, measure.shown, strict=True)
    return tuple(_score(value, f"{measure.metric}.{name}", where) for value, name in pairs)


def _score(value: Any, name: str, where: str) -> float:
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise DecisionError(f"{where} has {name} = {value!r}; a score is a number from 0 to 1")
    return float(value)


def _check_ids(items: list[_Item], expected_items: int | None, source: str) -> None:
    if not items:
        raise DecisionError(f"{source}: {MEMBER} has no rows; look at the evaluation job's log")
    repeated = duplicates([item.item_id for item in items])
    if repeated:
        raise DecisionError(
            f"{source}: {MEMBER} holds item {shown(repeated)} more than once; each is scored once"
        )
    if expected_items is not None and len(items) != expected_items:
        raise DecisionError(
            f"{source}: {MEMBER} holds {len(items)} rows where the evaluation file has {expected_items}; "
            "evaluate again without a limit"
        )


def _disagreement(
    scores: Mapping[str, list[float]], answered: int, aggregate: Mapping[str, float]
) -> str | None:
    """Say where the evaluator's mean is neither the mean of all items nor of the answered ones."""
    said = []
    for name in sorted(set(scores) & set(aggregate)):
        total = math.fsum(scores[name])
        means = {total / count for count in (len(scores[name]), answered) if count}
        if all(abs(aggregate[name] - mean) > AGGREGATE_TOLERANCE for mean in means):
            said.append(
                f"{name}: the evaluator says {aggregate[name]:.4f}, the mean of its "
                f"{len(scores[name])} items is {total / len(scores[name]):.4f}"
            )
    return "; ".join(said) or None

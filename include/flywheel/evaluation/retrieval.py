"""Retriever evaluation of embedding models: what the evaluator is asked, and what each query scored."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import IO, Any

from pydantic import ValidationError

from include.flywheel.errors import DecisionError
from include.flywheel.evaluation.items import AGGREGATE_TOLERANCE, MEMBER, result_rows
from include.flywheel.evaluation.scores import StageScores, duplicates, shown
from include.flywheel.evaluation.specs import RETRIEVAL_SCORE_NAMES, RETRIEVAL_TASK, Stage

Relevance = Mapping[str, Collection[str]]
"""For each query's id the ids of the documents that answer it."""

_CUTS = {name: int(name.rpartition("_")[2]) for name in RETRIEVAL_SCORE_NAMES}


def aggregate_scores(results: Mapping[str, Any]) -> dict[str, float]:
    """The evaluator's own means under the shown names, 0..1, from either place where it tells them.

    Raises DecisionError when the results hold no score of a retriever.
    """
    groups, tasks = results.get("groups") or {}, results.get("tasks") or {}
    means: dict[str, float] = {}
    for name, told in RETRIEVAL_SCORE_NAMES.items():
        for place in (
            (groups, "evaluation", "metrics", "evaluation", "scores", name, "value"),
            (tasks, RETRIEVAL_TASK, "metrics", f"retriever.{name}", "scores", name, "value"),
        ):
            value = _at(*place)
            if isinstance(value, int | float) and 0 <= value <= 1:
                means.setdefault(told, float(value))
    if not means:
        raise DecisionError(
            f"the evaluation results hold none of {', '.join(RETRIEVAL_SCORE_NAMES)}; look at the evaluation "
            "job's log"
        )
    return means


def read_retrieval(
    archive: str | Path | IO[bytes],
    *,
    nim: str,
    model: str,
    stage: Stage,
    aggregate: Mapping[str, float],
    expected_items: int | None = None,
    relevance: Callable[[], Relevance] = dict,
) -> StageScores:
    """What each query of the holdout scored, from the downloaded archive of a retriever evaluation.

    A query's id is `group.item`, so that queries can be paired and near-identical ones stay together. One
    that has no scores counts as an error and scores 0. Where the mean of the queries is not the evaluator's
    own, the result's `disagreement` says so. `relevance` is asked for where the archive has only the
    rankings: then they are scored here.
    Raises DecisionError for an archive that cannot be read, strange ids or scores, and another number of
    queries than expected.
    """
    source = f"the results of {model} at {stage}"
    known = cache(relevance)
    rows = enumerate(result_rows(archive, source))
    found = sorted(_query(number, row, source, known) for number, row in rows)
    _check(found, expected_items, source)
    columns = zip(*(values or (0.0,) * len(RETRIEVAL_SCORE_NAMES) for _, _, values in found), strict=True)
    scores = {
        name: list(column) for name, column in zip(RETRIEVAL_SCORE_NAMES.values(), columns, strict=True)
    }
    errors = [item for item, _, values in found if values is None]
    try:
        return StageScores(
            nim=nim,
            model=model,
            stage=stage,
            scores=scores,
            item_ids=[item for item, _, _ in found],
            conversation_ids=[group for _, group, _ in found],
            error_item_ids=errors,
            disagreement=_disagreement(scores, len(found) - len(errors), aggregate),
        )
    except ValidationError as error:
        raise DecisionError(f"{source}: {error.errors()[0]['msg']}") from error


def judgements(lines: Iterable[str]) -> dict[str, set[str]]:
    """The relevance in the lines of our own qrels, whose first one is the heading."""
    found: dict[str, set[str]] = {}
    for line in islice(lines, 1, None):
        query, document, _ = line.rstrip("\n").split("\t")
        found.setdefault(query, set()).add(document)
    return found


def scored(ranked: Sequence[str], relevant: Collection[str]) -> tuple[float, ...]:
    """The scores of a ranking, in the order of RETRIEVAL_SCORE_NAMES; each relevant document counts the same.

    nDCG is that of Järvelin and Kekäläinen, Cumulated Gain-based Evaluation of IR Techniques (2002).
    """
    return tuple(
        _ndcg(ranked[:cut], relevant, cut) if name.startswith("ndcg") else _recall(ranked[:cut], relevant)
        for name, cut in _CUTS.items()
    )


def _ndcg(ranked: Sequence[str], relevant: Collection[str], cut: int) -> float:
    found = math.fsum(1 / math.log2(rank + 1) for rank, one in enumerate(ranked, 1) if one in relevant)
    ideal = math.fsum(1 / math.log2(rank + 1) for rank in range(1, min(cut, len(relevant)) + 1))
    return found / ideal if ideal else 0.0


def _recall(ranked: Sequence[str], relevant: Collection[str]) -> float:
    return sum(one in relevant for one in ranked) / len(relevant) if relevant else 0.0


def _query(
    number: int, row: Any, source: str, relevance: Callable[[], Relevance]
) -> tuple[str, str, tuple[float, ...] | None]:
    item = row.get("item") if isinstance(row, dict) else None
    name = item.get("_id") if isinstance(item, dict) else None
    group, dot, item_id = name.partition(".") if isinstance(name, str) else ("", "", "")
    if not (group and dot and item_id):
        raise DecisionError(
            f"{source}: row {number} of {MEMBER} is of query {name!r}; the ids in queries.jsonl are "
            "`group.item`, so that queries can be paired: evaluate the run's own data set"
        )
    values = [_at(row, f"retriever.{score}", score) for score in RETRIEVAL_SCORE_NAMES]
    if row.get("error"):
        return item_id, group, None
    if all(value is None for value in values):
        ranked = row.get("retrieved")
        relevant = relevance().get(str(name), ()) if isinstance(ranked, list) else ()
        return item_id, group, scored([str(_at(hit, "id")) for hit in ranked], relevant) if relevant else None
    for score, value in zip(RETRIEVAL_SCORE_NAMES, values, strict=True):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise DecisionError(
                f"{source}: query {name!r} has {score} = {value!r}; a score is a number from 0 to 1"
            )
    return item_id, group, tuple(float(value) for value in values)


def _check(found: list[tuple[str, str, Any]], expected_items: int | None, source: str) -> None:
    if not found:
        raise DecisionError(f"{source}: {MEMBER} has no rows; look at the evaluation job's log")
    if repeated := duplicates([item for item, _, _ in found]):
        raise DecisionError(f"{source}: {MEMBER} holds query {shown(repeated)} more than once")
    if expected_items is not None and len(found) != expected_items:
        raise DecisionError(
            f"{source}: {MEMBER} holds {len(found)} queries where the holdout has {expected_items}; evaluate "
            "again without a limit"
        )


def _disagreement(
    scores: Mapping[str, list[float]], answered: int, aggregate: Mapping[str, float]
) -> str | None:
    """Where the evaluator's mean is neither that of all queries nor that of the answered ones."""
    said = []
    for name in sorted(set(scores) & set(aggregate)):
        total = sum(scores[name])
        means = [total / count for count in (len(scores[name]), answered) if count]
        if all(abs(mean - aggregate[name]) > AGGREGATE_TOLERANCE for mean in means):
            said.append(
                f"{name}: the evaluator says {aggregate[name]:.4f}, the mean of its {len(scores[name])} "
                f"queries is {means[0]:.4f}"
            )
    return "; ".join(said) or None


def _at(value: Any, *keys: str) -> Any:
    """What stands at the end of the keys; None where the way ends before."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value

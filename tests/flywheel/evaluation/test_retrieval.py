"""What an embedding model scored on each query: as the evaluator tells, or counted from its rankings."""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.flywheel.errors import DecisionError
from include.flywheel.evaluation.measures import RETRIEVAL_MEASURE, measure_of
from include.flywheel.evaluation.retrieval import aggregate_scores, judgements, read_retrieval, scored
from include.flywheel.evaluation.specs import RETRIEVAL_SCORE_NAMES, Stage, retrieval_config
from include.nemo_local.metrics import ranking

NAMES = list(RETRIEVAL_SCORE_NAMES)


def row(name: Any, values: Iterable[Any] = (1.0, 1.0, 1.0, 1.0), **more: Any) -> dict[str, Any]:
    metrics = {f"retriever.{score}": {score: value} for score, value in zip(NAMES, values, strict=False)}
    return {"item": {"_id": name, "text": "q"}, **metrics, **more}


def archive(rows: Any) -> io.BytesIO:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as opened:
        opened.writestr("results.json", json.dumps(rows))
    packed.seek(0)
    return packed


def read(rows: Any, **options: Any) -> Any:
    said = {"nim": "n", "model": "m", "stage": Stage.BASE, "aggregate": {}} | options
    return read_retrieval(archive(rows), **said)


def test_each_query_keeps_its_scores_and_its_group() -> None:
    found = read([row("g2.b", (0.5, 0, 1, 1)), row("g1.a", (1, 1, 1, 1)), row("g2.c", (0, 0, 0, 0))])
    assert (found.item_ids, found.conversation_ids) == (["a", "b", "c"], ["g1", "g2", "g2"])
    assert found.scores["ndcg_at_10"] == [1, 0.5, 0]
    assert found.scores["recall_at_1"] == [1, 0, 0]
    assert (found.errors, found.disagreement) == (0, None)


def test_a_query_without_scores_is_an_error_and_scores_nothing() -> None:
    found = read([row("g.a"), row("g.b", ()), row("g.c", error="timeout")])
    assert found.error_item_ids == ["b", "c"]
    assert found.scores["recall_at_10"] == [1, 0, 0]


def test_another_mean_than_the_evaluators_is_said() -> None:
    rows = [row("g.a", (1, 1, 1, 1)), row("g.b", (0, 0, 0, 0)), row("g.c", ())]
    assert read(rows, aggregate={"ndcg_at_10": 0.5}).disagreement is None, "of those that were answered"
    assert read(rows, aggregate={"ndcg_at_10": 1 / 3}).disagreement is None, "of all"
    said = read(rows, aggregate={"ndcg_at_10": 0.9}).disagreement
    assert "ndcg_at_10: the evaluator says 0.9000" in said


def test_rankings_alone_are_scored_here() -> None:
    asked = []

    def relevance() -> dict[str, set[str]]:
        asked.append(1)
        return judgements(["query-id\tcorpus-id\tscore\n", "g.a\tx\t1\n", "g.b\ty\t1\n", "g.b\tz\t1\n"])

    rows = [row("g.a", (), retrieved=[{"id": "w"}, {"id": "x"}]), row("g.b", (), retrieved=[{"id": "z"}])]
    found = read([*rows, row("g.c", (), retrieved=[{"id": "x"}])], relevance=relevance)
    assert found.scores["recall_at_1"] == [0, 0.5, 0]
    assert found.scores["ndcg_at_10"][0] == pytest.approx(1 / math.log2(3))
    assert found.error_item_ids == ["c"], "of which nothing is known to be relevant"
    assert len(asked) == 1


@given(st.permutations(range(14)), st.sets(st.integers(0, 20), min_size=1))
def test_they_are_scored_as_the_evaluator_scores_them(order: list[int], relevant: set[int]) -> None:
    ranked = [str(one) for one in order]
    graded = {str(one): 1 for one in relevant}
    theirs = []
    for name in NAMES:
        score, cut = ranking.parse(name, field="type")
        theirs.append(score(ranked, graded, cut))
    assert scored(ranked, set(graded)) == pytest.approx(tuple(theirs))


@pytest.mark.parametrize(
    ("rows", "options", "says"),
    [
        ([], {}, "has no rows"),
        ([row("plain")], {}, "`group.item`"),
        ([row(None)], {}, "of query None"),
        ([["text"]], {}, "of query None"),
        ([row("g.a"), row("h.a")], {}, "holds query a more than once"),
        ([row("g.a")], {"expected_items": 2}, "1 queries where the holdout has 2"),
        ([row("g.a", (1, 2, 1, 1))], {}, "recall_1 = 2"),
        ([row("g.a", (1, None, 1, 1))], {}, "recall_1 = None"),
    ],
)
def test_what_cannot_be_paired_is_refused(rows: Any, options: dict[str, Any], says: str) -> None:
    with pytest.raises(DecisionError, match=says):
        read(rows, **options)


def test_means_are_read_from_either_place() -> None:
    group = {"evaluation": {"metrics": {"evaluation": {"scores": {"recall_5": {"value": 0.25}}}}}}
    metrics = {f"retriever.{name}": {"scores": {name: {"value": 0.75}}} for name in NAMES}
    found = aggregate_scores({"groups": group, "tasks": {"retrieval": {"metrics": metrics}}})
    assert found == {"ndcg_at_10": 0.75, "recall_at_1": 0.75, "recall_at_5": 0.25, "recall_at_10": 0.75}
    with pytest.raises(DecisionError, match="hold none of ndcg_cut_10"):
        aggregate_scores({"tasks": {}, "groups": None})


def test_the_kind_of_the_data_set_says_that_it_is_measured_so() -> None:
    assert measure_of({"kind": "retrieval"}) is RETRIEVAL_MEASURE
    config = retrieval_config(namespace="ns", files_url="hf://datasets/ns/d/testing/beir", limit=3)
    assert config["tasks"]["retrieval"]["dataset"] == {
        "files_url": "hf://datasets/ns/d/testing/beir",
        "limit": 3,
    }
    assert set(config["tasks"]["retrieval"]["metrics"]) == set(NAMES)

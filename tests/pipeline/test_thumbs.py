"""The agreement of thumbs with a run's scores, as it is written into the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from include.flywheel.datasets.card import card_lines
from include.flywheel.datasets.feedback.report import FeedbackReport
from include.flywheel.datasets.report import DatasetReport
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import Stage
from include.flywheel.runs.repository import RunRepository
from include.pipeline.run import Run
from include.pipeline.thumbs import with_agreement

SET = {
    "records": 1, "conversations": 1, "labels": {}, "first_timestamp_ms": 1, "last_timestamp_ms": 1,
    "row_bytes": None,
}  # fmt: skip


def dataset(**feedback: Any) -> dict[str, Any]:
    counts = dict.fromkeys(set(FeedbackReport.model_fields) - {"use", "holdout", "agreement"}, 0)
    report = DatasetReport.model_validate(
        {
            "kind": "tool_calling", "kind_because": "x", "seed": 1, "strategy": "stratified",
            "stratified_by": "tool",
            "ledger": {"in_store": 0, "older_than_limit": 0, "records_read": 0},
            "grouping": {"conversations": 1, "by_session": 1, "by_messages": 0, "single": 0, "largest": 1},
            "files": [{"name": "train.jsonl", "records": 1, "bytes": 1, "sha256": "0" * 64}], "digest": "d",
            "train": SET, "val": SET, "eval": SET, "overlap": {"requests": {}, "conversations": {}},
            "repeated": {}, "icl": {}, "first_timestamp_ms": 1, "last_timestamp_ms": 1,
            "feedback": {"use": "filter", **counts, **feedback} if feedback else None,
        }
    )  # fmt: skip
    return report.model_dump(mode="json")


def scores(name: str, values: list[float]) -> StageScores:
    ids = [f"i{n}" for n in range(len(values))]
    return StageScores(
        nim="m", model="m", stage=Stage.BASE, scores={name: values}, item_ids=ids, conversation_ids=ids
    )


def measured(open_run: Callable[..., RunRepository], data: Any, *kept: StageScores) -> dict[str, Any]:
    runs = open_run({"m": "m"})
    job_id = runs.recent()[0].job_id
    runs.update(job_id, dataset=data)
    for one in kept:
        runs.save_scores(job_id, "m", one)
    run = Run(dag_id="flywheel_x", run_id="r", job_id=job_id, runs=runs)
    fields = with_agreement(run, runs.get(job_id), "s")
    runs.update(job_id, **fields)
    document: Any = runs.get(job_id).dataset
    return document


def test_it_stands_in_the_report_of_the_run(open_run: Callable[..., RunRepository]) -> None:
    thumbs = {"i0": 1, "i1": -1, "i2": -1, "elsewhere": 1}
    data = dataset(holdout=thumbs, eval=4, read=4)
    report = DatasetReport.model_validate(measured(open_run, data, scores("s", [1.0, 0.0, 1.0, 1.0])))
    assert report.feedback is not None
    [found] = report.feedback.agreement
    assert (found.items, found.up_right, found.down_right, found.down_wrong) == (3, 1, 1, 1)
    assert round(found.agreement, 3) == 0.667
    [line] = [one for one in card_lines(report) if "thumbs and s" in one]
    assert "agree on 66.7 % [20.8, 93.9] of 3 items, kappa 0.40" in line


def test_without_thumbs_or_scores_nothing_is_said(open_run: Callable[..., RunRepository]) -> None:
    for data in (dataset(), dataset(use="weight")):
        assert measured(open_run, data, scores("s", [1.0])) == data
    data = dataset(holdout={"i0": 1}, eval=1, read=1)
    assert measured(open_run, data, scores("other", [1.0]))["feedback"]["agreement"] == []

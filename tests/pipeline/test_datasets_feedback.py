"""The task that builds a run's data set, with the feedback of a live table."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time.context import set_current_context

from include.flywheel.config.conf import resolve
from include.flywheel.feedback.load import load_feedback
from include.flywheel.logs.files import FileLogStore
from include.flywheel.runs.repository import RunRepository
from include.pipeline.datasets import build
from include.stores.feedback import FeedbackPlace, connect


def record(number: int) -> dict[str, Any]:
    function = {"name": "find", "arguments": json.dumps({"id": number})}
    return {
        "timestamp": 1_717_200_000_000 + number,
        "client_id": "c",
        "workload_id": "w",
        "trace_id": f"t{number}",
        "session_id": f"s{number}",
        "request": {
            "model": "m",
            "messages": [{"role": "user", "content": f"question {number}"}],
            "tools": [{"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}],
        },
        "response": {
            "choices": [
                {
                    "message": {
                        "role": "assistant",
                        "tool_calls": [{"id": "1", "type": "function", "function": function}],
                    }
                }
            ]
        },
    }


@pytest.fixture
def built(
    open_run: Callable[..., RunRepository],
    feedback_place: FeedbackPlace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Builds with that use of feedback; every other answer is disliked. The report, and the training rows."""
    store = tmp_path / "logs"
    store.mkdir()
    FileLogStore(store).append(map(record, range(80)))
    disliked = [
        {"query": "q", "response": "r", "model": "m", "rating": -1, "trace_id": f"t{n}"}
        for n in range(0, 80, 2)
    ]
    with closing(connect(feedback_place)) as connection:
        load_feedback(connection, [json.dumps(one).encode() for one in disliked], {})
    monkeypatch.setenv(
        "AIRFLOW_CONN_FLYWHEEL_LOGS", json.dumps({"conn_type": "fs", "extra": {"path": str(store)}})
    )
    monkeypatch.setenv("AIRFLOW_VAR_FLYWHEEL_STAGING_URL", f"file://{tmp_path}/staging")
    for name, value in {
        "HOST": feedback_place.host,
        "PORT": str(feedback_place.port),
        "DB": feedback_place.database,
        "USER": feedback_place.user,
        "PASSWORD": feedback_place.password,
    }.items():
        monkeypatch.setenv(f"POSTGRES_{name}", value)

    def run(use: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        resolved = resolve({"client_id": "c", "workload_id": "w"}, None).model_dump(mode="json")
        resolved["workload"]["feedback"] = {"use": use}
        resolved["split"] |= {"eval_size": 20, "min_total_records": 50}
        runs = open_run({}, resolved=resolved)
        job_id = runs.recent()[0].job_id
        context: Any = {
            "dag_run": SimpleNamespace(dag_id="flywheel_x", run_id="r", clear_number=0, conf={}),
            "params": {},
            "ti": SimpleNamespace(try_number=1, max_tries=3),
        }
        with set_current_context(context):
            build()
        report: Any = runs.get(job_id).dataset
        train = (tmp_path / "staging" / job_id / "train.jsonl").read_bytes().splitlines()
        return report, [json.loads(line) for line in train]

    return run


def numbers(rows: list[dict[str, Any]]) -> set[int]:
    return {int(row["messages"][0]["content"].split()[1]) for row in rows}


def test_disliked_answers_are_in_no_training_file(built: Any) -> None:
    report, train = built("filter")
    assert all(number % 2 for number in numbers(train))
    assert report["feedback"]["read"] == 40
    assert report["feedback"]["removed"] == report["ledger"]["disliked"] > 0
    assert set(report["feedback"]["holdout"].values()) == {-1}


def test_off_reads_nothing(built: Any) -> None:
    report, train = built("off")
    assert "feedback" not in report
    assert any(number % 2 == 0 for number in numbers(train))

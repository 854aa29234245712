"""The judge's scores of one stage: asked once, kept, and missing with a reason where it does not answer."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from include.flywheel.config.conf import resolve
from include.flywheel.config.judge import HOSTS_VARIABLE
from include.flywheel.evaluation.items import read_results
from include.flywheel.evaluation.judging import prompt
from include.flywheel.evaluation.measures import CHAT
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import Stage
from include.flywheel.runs import ids
from include.flywheel.runs.documents import JudgeDocument
from include.flywheel.runs.repository import RunRepository
from include.pipeline.judge import judged
from include.pipeline.run import Run

JOB, SLUG = ids.job_id("flywheel_x", "r"), "first"
ITEMS = 30


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    rows = [
        {
            "id": index,
            "item": {
                "item_id": f"{index:04}",
                "conversation_id": f"c{index}",
                "response": {"content": f"answer {index}", "tool_calls": []},
            },
            "output_text": f"answer {index}",
            "response": {"content": f"answer {index}"},
            "overlap": {"rouge_L_score": 1.0, "rouge_1_score": 1.0},
        }
        for index in range(ITEMS)
    ]
    path = tmp_path / "results.zip"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("results.json", json.dumps(rows))
    return path


@pytest.fixture
def scores(archive: Path) -> StageScores:
    return read_results(archive, nim="n", model="n", stage=Stage.BASE, measure=CHAT)


@pytest.fixture
def run(open_run: Callable[..., RunRepository], judge: Any, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv(HOSTS_VARIABLE, "127.0.0.1")
    secret = {"conn_type": "http", "host": judge.url, "password": "s3cret"}
    monkeypatch.setenv("AIRFLOW_CONN_JUDGE", json.dumps(secret))
    said = {"type": "remote", "model": "big", "conn_id": "judge", "max_retries": 0}
    resolved = resolve({"client_id": "c", "workload_id": "w", "judge": said}, None).model_dump(mode="json")
    document = JudgeDocument(
        model="big", type="remote", prompt_version=prompt.VERSION, prompt_digest=prompt.digest()
    )
    runs = open_run({SLUG: "meta/first"}, resolved=resolved, judge=document, dataset={"kind": "chat"})
    return Run(JOB, "flywheel_x", "r", runs)


def judge_it(run: Run, archive: Path, scores: StageScores) -> StageScores:
    return judged(run, SLUG, Stage.BASE, archive, scores, source="the results")


def test_grades_become_a_score_and_are_not_asked_for_again(
    run: Run, judge: Any, archive: Path, scores: StageScores
) -> None:
    judge.answer = lambda *_: (200, "Rating: 10", {})
    kept = judge_it(run, archive, scores)
    assert kept.mean("similarity") == 1.0
    assert set(judge.keys) == {"Bearer s3cret"}
    assert judge_it(run, archive, scores) == kept
    assert len(judge.asked) == ITEMS, "a task that runs again asks nothing again"
    document = run.runs.get(JOB).judge
    assert document is not None
    assert document.counts["judged"] == ITEMS
    assert document.error is None
    assert "s3cret" not in run.runs.get(JOB).model_dump_json()


def test_what_was_judged_before_it_was_killed_is_not_asked_again(
    run: Run, judge: Any, archive: Path, scores: StageScores
) -> None:
    judge.answer = lambda _, number: (200, "Rating: 4", {}) if number <= 20 else (401, {}, {})
    assert "similarity" not in judge_it(run, archive, scores).scores
    first = len(judge.asked)
    judge.answer = lambda *_: (200, "Rating: 4", {})
    assert judge_it(run, archive, scores).mean("similarity") == pytest.approx(3 / 9, abs=1e-6)
    assert len(judge.asked) - first == ITEMS - 20


def test_a_judge_that_does_not_answer_costs_its_score_alone(
    run: Run, judge: Any, archive: Path, scores: StageScores
) -> None:
    judge.close()
    assert judge_it(run, archive, scores) == scores
    document = run.runs.get(JOB)
    assert document.error is None
    assert document.judge is not None
    assert "was not reached" in (document.judge.error or "")
    assert any("no similarity" in event for event in document.events)


def test_a_local_judge_that_was_not_deployed_is_not_asked(
    run: Run, judge: Any, archive: Path, scores: StageScores
) -> None:
    run.runs.set_part(
        JOB, "judge", type="local", deployment_status="failed", error="no GPU until the deadline"
    )
    assert judge_it(run, archive, scores) == scores
    assert judge.asked == []
    document = run.runs.get(JOB).judge
    assert document is not None
    assert "is not deployed: no GPU until the deadline" in (document.error or "")


def test_a_host_that_is_not_allowed_any_more_is_not_asked(
    run: Run, judge: Any, archive: Path, scores: StageScores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOSTS_VARIABLE, "")
    assert judge_it(run, archive, scores) == scores
    assert judge.asked == []


def test_labels_need_no_judge(run: Run, judge: Any, archive: Path, scores: StageScores) -> None:
    run.runs.update(JOB, dataset={"kind": "classification"})
    assert judge_it(run, archive, scores) == scores
    assert judge.asked == []

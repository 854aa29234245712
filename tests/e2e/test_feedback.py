"""Feedback as users give it, through the API server: counted at once, and exported by its DAG."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .world import World

DAG = "feedback_export"
RUN, NAME = "export-by-hand", "by-hand/all"


@pytest.fixture(scope="module")
def exported(world: World, thumbs: int) -> Path:
    """The folder that a run of the DAG wrote into, with every file that there is."""
    world.api.wait_for_dag(DAG)
    world.api.unpause(DAG)
    world.start(DAG, RUN, output_path=NAME, format="all")
    assert world.finish(DAG, RUN) == "success"
    return world.stack.layout.exports / "by-hand"


def _lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_each_judgement_is_in_the_weighted_file_once(exported: Path, thumbs: int) -> None:
    weights = sorted(line["weight"] for line in _lines(exported / "all.jsonl"))
    disliked = len(range(0, thumbs, 3))
    assert weights == [0.5] * disliked + [2.0] * (thumbs - disliked)
    counts = json.loads((exported / "all.manifest.json").read_text(encoding="utf-8"))["counts"]
    assert (counts["rows_read"], counts["kept"]) == (thumbs, thumbs)


def test_nemo_gets_copies_and_no_disliked_answer(exported: Path, thumbs: int) -> None:
    liked = {
        line["messages"][-1]["content"] for line in _lines(exported / "all.jsonl") if line["weight"] == 2
    }
    copied = [line["messages"][-1]["content"] for line in _lines(exported / "all.nemo.jsonl")]
    assert sorted(copied) == sorted([*liked, *liked])


def test_the_accuracy_is_that_of_the_thumbs(world: World, thumbs: int) -> None:
    with world.http() as http:
        [found] = http.get("/v1/feedback/accuracy").json()
        health = {one["name"]: one["state"] for one in http.get("/api/health").json()["dependencies"]}
    positive = thumbs - len(range(0, thumbs, 3))
    assert (found["model"], found["total_feedback"]) == ("local/shop-agent-large", thumbs)
    assert found["accuracy_percentage"] == pytest.approx(100 * positive / thumbs, abs=0.01)
    assert health["feedback"] == "ok"

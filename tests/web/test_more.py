"""Report, timeline and single scores of a run, from its documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import Stage as Evaluated
from include.flywheel.runs.documents import NimDocument, RunDocument, Stage, StepTimes
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import NimStatus, RunStatus, StageName, StageStatus, StepName

from .conftest import StartServer

JOB = "5c" * 12
NIM, SLUG = "meta/llama-3.2-1b-instruct", "meta-llama-3.2-1b-instruct"
AT = "2026-03-02T09:{:02d}:00.000+00:00".format


@pytest.fixture(scope="module")
def viewer(api_server: StartServer) -> Iterator[httpx.Client]:
    with api_server().client("viewer") as client:
        yield client


@pytest.fixture
def failed(runs: RunRepository) -> RunDocument:
    """A run whose one NIM was trained and then failed."""
    stage = Stage(status=StageStatus.COMPLETED, submitted_at=AT(31), started_at=AT(32), finished_at=AT(40))
    broken = Stage(
        status=StageStatus.FAILED, submitted_at=AT(41), finished_at=AT(42), error="no node ``` is free"
    )
    nim = NimDocument(
        job_id=JOB,
        nim=NIM,
        slug=SLUG,
        order=0,
        status=NimStatus.FAILED,
        stages={StageName.CUSTOMIZE: stage, StageName.DEPLOY: broken},
        error="deploy: no node ``` is free",
        undeployed_at=AT(43),
    )
    runs.open_nims([nim])
    for stage_name, count in ((Evaluated.BASE, 3), (Evaluated.ICL, 2)):
        scores = StageScores(
            nim=NIM,
            model=NIM,
            stage=stage_name,
            scores={"function_name": [1.0] * (count - 1) + [0.0]},
            item_ids=[f"i{number}" for number in range(count)],
            conversation_ids=[f"c{number}" for number in range(count)],
            error_item_ids=[f"i{count - 1}"],
        )
        runs.save_scores(JOB, SLUG, scores)
    return runs.open(
        RunDocument(
            job_id=JOB,
            dag_id="flywheel__acme__desk",
            run_id="manual__1",
            client_id="acme",
            workload_id="desk",
            status=RunStatus.FAILED,
            created_at=AT(30),
            finished_at=AT(44),
            steps={StepName.PREPARE: StepTimes(started_at=AT(30), finished_at=AT(31))},
            error="no NIM could be evaluated",
        )
    )


def test_the_report_says_what_became_of_it(viewer: httpx.Client, failed: RunDocument) -> None:
    answer = viewer.get(f"/api/jobs/{JOB}/report")
    assert answer.headers["content-type"] == "text/markdown; charset=utf-8"
    assert answer.text.startswith("# acme / desk: failed\n")
    assert "- Error: no NIM could be evaluated" in answer.text
    assert "The run ended without a verdict." in answer.text
    assert f"````text\n{NIM}: deploy: no node ``` is free\n````" in answer.text


def test_the_timeline_has_every_lane(viewer: httpx.Client, failed: RunDocument) -> None:
    told = viewer.get(f"/api/jobs/{JOB}/timeline").json()
    assert told["seconds"] == 14 * 60
    lanes = {(group["name"], lane["label"]): lane for group in told["groups"] for lane in group["lanes"]}
    assert set(lanes) == {("run", "prepare"), (NIM, "customize"), (NIM, "deploy")}
    trained = lanes[NIM, "customize"]
    assert trained["status"] == "completed"
    assert [(span["kind"], span["seconds"], span["open"]) for span in trained["spans"]] == [
        ("pending at the service", 60.0, False),
        ("at work", 480.0, False),
    ]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({}, ["base i0", "base i1", "base i2", "icl i0", "icl i1"]),
        ({"stage": "icl"}, ["icl i0", "icl i1"]),
        ({"nim": NIM, "stage": "base"}, ["base i0", "base i1", "base i2"]),
        ({"nim": SLUG}, ["base i0", "base i1", "base i2", "icl i0", "icl i1"]),
        ({"nim": "another"}, []),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 5, 1000])
def test_the_scores_of_items_are_told_page_by_page(
    viewer: httpx.Client, failed: RunDocument, query: dict[str, str], wanted: list[str], limit: int
) -> None:
    seen: list[dict[str, Any]] = []
    cursor = None
    while True:
        asked = query | {"limit": str(limit)} | ({"cursor": cursor} if cursor else {})
        page = viewer.get(f"/api/jobs/{JOB}/items", params=asked).json()
        assert page["total"] == len(wanted)
        assert len(page["items"]) <= limit
        seen += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [f"{one['stage']} {one['item_id']}" for one in seen] == wanted
    assert [one["answered"] for one in seen] == [one["scores"]["function_name"] == 1.0 for one in seen]


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 1001}, {"cursor": "-1"}, {"stage": "x"}, {"n": 1}])
def test_a_page_that_makes_no_sense_is_refused(
    viewer: httpx.Client, failed: RunDocument, query: dict[str, Any]
) -> None:
    assert viewer.get(f"/api/jobs/{JOB}/items", params=query).status_code == 422

"""Run documents on the MongoDB wire: the embedded server, or a real one where MONGO_URI is given."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from typing import Any

import pytest
from pymongo.database import Database

from include.flywheel.errors import StateError
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import Stage as EvaluationStage
from include.flywheel.runs.documents import NimDocument, Reference, RunDocument, now
from include.flywheel.runs.repository import REFERENCE, RunRepository
from include.flywheel.runs.states import NimStatus, RunStatus, StageName, StageStatus

JOB = "0123456789abcdef01234567"
SLUG = "meta-llama-3.2-1b-instruct"
DEPLOY, BASE = StageName.DEPLOY, StageName.BASE_EVAL


@pytest.fixture
def runs(mongo_database: Database[dict[str, Any]]) -> RunRepository:
    repository = RunRepository(mongo_database)
    repository.ensure_indexes()
    return repository


@pytest.fixture
def opened(runs: RunRepository) -> RunRepository:
    runs.open(document())
    runs.open_nims([NimDocument(job_id=JOB, nim="meta/llama", slug=SLUG, order=0)])
    return runs


def document(job_id: str = JOB, **changes: Any) -> RunDocument:
    fields = {"dag_id": "flywheel__acme__desk", "run_id": "r", "client_id": "acme", "workload_id": "desk"}
    return RunDocument(job_id=job_id, **(fields | {"created_at": now()} | changes))


def test_opening_twice_is_one_document_and_the_first_stays(
    runs: RunRepository, mongo_database: Database[dict[str, Any]]
) -> None:
    first = runs.open(document(conf={"nims": ["a"]}))
    second = runs.open(document(conf={"nims": ["b"]}))
    assert second == first
    assert mongo_database["runs"].count_documents({}) == 1


def test_opening_at_once_is_one_document(
    runs: RunRepository, mongo_database: Database[dict[str, Any]]
) -> None:
    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(lambda n: runs.open(document(conf={"n": n})), range(8)))
    assert all(one == opened[0] for one in opened)
    assert mongo_database["runs"].count_documents({}) == 1


def test_indexes_are_unique_and_may_be_made_again(
    runs: RunRepository, mongo_database: Database[dict[str, Any]]
) -> None:
    runs.ensure_indexes()
    unique = {
        name: [list(dict(one["key"])) for one in mongo_database[name].list_indexes() if one.get("unique")]
        for name in ("runs", "run_nims", "item_scores")
    }
    assert ["job_id"] in unique["runs"]
    assert ["job_id", "slug"] in unique["run_nims"]
    assert ["job_id", "slug", "stage"] in unique["item_scores"]


def test_a_run_that_is_not_there_is_an_error_or_none(runs: RunRepository) -> None:
    assert runs.find(JOB) is None
    with pytest.raises(StateError, match=JOB):
        runs.get(JOB)
    with pytest.raises(StateError, match="no NIM 'nowhere'"):
        runs.nim(JOB, "nowhere")


RUN_MOVES = [
    (RunStatus.PENDING, RunStatus.RUNNING, True),
    (RunStatus.PENDING, RunStatus.FAILED, True),
    (RunStatus.RUNNING, RunStatus.COMPLETED, True),
    (RunStatus.RUNNING, RunStatus.CANCELLED, True),
    (RunStatus.RUNNING, RunStatus.PENDING, False),
    (RunStatus.COMPLETED, RunStatus.FAILED, False),
    (RunStatus.FAILED, RunStatus.COMPLETED, False),
    (RunStatus.CANCELLED, RunStatus.RUNNING, False),
]


@pytest.mark.parametrize(("before", "after", "moves"), RUN_MOVES)
def test_a_run_moves_forward_only(
    runs: RunRepository, before: RunStatus, after: RunStatus, moves: bool
) -> None:
    runs.open(document(status=before))
    assert runs.set_status(JOB, after, error="why") is moves
    found = runs.get(JOB)
    assert found.status is (after if moves else before)
    assert found.error == ("why" if moves else None)


def test_a_step_may_be_repeated(runs: RunRepository) -> None:
    runs.open(document(status=RunStatus.RUNNING))
    assert runs.set_status(JOB, RunStatus.RUNNING, started_at="2026-01-01T00:00:00.000+00:00")
    assert runs.get(JOB).started_at == "2026-01-01T00:00:00.000+00:00"


NIM_MOVES = [
    (NimStatus.PENDING, NimStatus.DEPLOYING, True),
    (NimStatus.PENDING, NimStatus.RUNNING_EVALS, True),
    (NimStatus.DEPLOYING, NimStatus.FAILED, True),
    (NimStatus.RUNNING_EVALS, NimStatus.COMPLETED, True),
    (NimStatus.RUNNING_EVALS, NimStatus.DEPLOYING, False),
    (NimStatus.COMPLETED, NimStatus.CANCELLED, False),
    (NimStatus.CANCELLED, NimStatus.RUNNING_EVALS, False),
]


@pytest.mark.parametrize(("before", "after", "moves"), NIM_MOVES)
def test_a_nim_moves_forward_only(
    runs: RunRepository, before: NimStatus, after: NimStatus, moves: bool
) -> None:
    runs.open_nims([NimDocument(job_id=JOB, nim="n", slug=SLUG, order=0, status=before)])
    assert runs.set_nim_status(JOB, SLUG, after) is moves
    assert runs.nim(JOB, SLUG).status is (after if moves else before)


def test_nims_stand_in_the_order_of_the_configuration_and_are_opened_once(runs: RunRepository) -> None:
    several = [NimDocument(job_id=JOB, nim=f"n{n}", slug=f"s{9 - n}", order=n) for n in range(4)]
    runs.open_nims(reversed(several))
    runs.set_nim_status(JOB, "s9", NimStatus.DEPLOYING)
    runs.open_nims(several)
    assert [nim.nim for nim in runs.nims(JOB)] == ["n0", "n1", "n2", "n3"]
    assert runs.nim(JOB, "s9").status is NimStatus.DEPLOYING


def test_a_stage_that_nobody_wrote_is_fresh(opened: RunRepository) -> None:
    stage = opened.stage(JOB, SLUG, BASE)
    assert (stage.status, stage.attempt, stage.remote_id) == (StageStatus.PENDING, 1, None)


def test_stages_of_a_nim_do_not_touch_each_other(opened: RunRepository) -> None:
    opened.set_stage(JOB, SLUG, DEPLOY, status="completed", remote_id="d")
    opened.set_stage(JOB, SLUG, BASE, status="running", scores={"accuracy": 0.5})
    assert opened.stage(JOB, SLUG, DEPLOY).remote_id == "d"
    assert opened.stage(JOB, SLUG, BASE).scores == {"accuracy": 0.5}
    assert set(opened.nim(JOB, SLUG).stages) == {DEPLOY, BASE}


@pytest.mark.parametrize("end", [status for status in StageStatus if status.is_over])
def test_a_late_observer_changes_no_end(opened: RunRepository, end: StageStatus) -> None:
    assert opened.set_live_stage(JOB, SLUG, BASE, status="running", progress_percent=10.0)
    assert opened.set_live_stage(JOB, SLUG, BASE, status=end.value)
    assert not opened.set_live_stage(JOB, SLUG, BASE, status="running", progress_percent=90.0)
    stage = opened.stage(JOB, SLUG, BASE)
    assert (stage.status, stage.progress_percent) == (end, 10.0)


def test_of_two_who_raise_an_attempt_one_wins(opened: RunRepository) -> None:
    opened.set_stage(JOB, SLUG, BASE, status="failed", attempt=1, remote_id="old", error="no GPU")
    together = Barrier(8)

    def raise_it(_: int) -> bool:
        together.wait()
        return opened.raise_attempt(JOB, SLUG, BASE, 1)

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(raise_it, range(8)))
    assert won.count(True) == 1
    stage = opened.stage(JOB, SLUG, BASE)
    assert (stage.attempt, stage.status, stage.remote_id, stage.error) == (2, StageStatus.PENDING, None, None)
    opened.set_live_stage(JOB, SLUG, BASE, status="submitted", remote_id="new")
    assert not opened.raise_attempt(JOB, SLUG, BASE, 1)
    assert opened.stage(JOB, SLUG, BASE).remote_id == "new"
    assert opened.raise_attempt(JOB, SLUG, BASE, 2)


def test_a_cancel_is_noted_once_and_only_while_the_run_is_live(opened: RunRepository) -> None:
    with ThreadPoolExecutor(4) as pool:
        noted = list(pool.map(lambda _: opened.request_cancel(JOB), range(4)))
    assert noted.count(True) == 1
    first = opened.get(JOB).cancel_requested_at
    assert first is not None
    assert not opened.request_cancel(JOB)
    assert opened.get(JOB).cancel_requested_at == first


@pytest.mark.parametrize("end", [status for status in RunStatus if status.is_over])
def test_a_run_that_is_over_cannot_be_cancelled(runs: RunRepository, end: RunStatus) -> None:
    runs.open(document(status=end))
    assert not runs.request_cancel(JOB)
    assert runs.get(JOB).cancel_requested_at is None
    assert not runs.request_cancel("f" * 24)


def test_the_reference_has_its_stage_in_the_runs_document(opened: RunRepository) -> None:
    fresh = opened.stage(JOB, REFERENCE, StageName.REFERENCE_EVAL)
    assert fresh.attempt == 1
    opened.update(JOB, reference=Reference(model="local/agent").model_dump(mode="json"))
    opened.set_stage(JOB, REFERENCE, StageName.REFERENCE_EVAL, status="failed", remote_id="e")
    assert opened.raise_attempt(JOB, REFERENCE, StageName.REFERENCE_EVAL, 1)
    assert opened.set_live_stage(JOB, REFERENCE, StageName.REFERENCE_EVAL, status="completed")
    reference = opened.get(JOB).reference
    assert reference is not None
    assert (reference.model, reference.stage.attempt) == ("local/agent", 2)
    assert reference.stage.status is StageStatus.COMPLETED
    assert opened.nims(JOB)[0].stages == {}


def scores(stage: EvaluationStage, values: list[float]) -> StageScores:
    return StageScores(
        nim="meta/llama",
        model="meta/llama",
        stage=stage,
        scores={"function.name": values, "$odd": values},
        item_ids=[f"{n:016x}" for n in range(len(values))],
        conversation_ids=[f"c{n}" for n in range(len(values))],
        error_item_ids=["0" * 16],
    )


def test_scores_come_back_as_they_were_kept_and_again_replaces(opened: RunRepository) -> None:
    thirds = [1 / 3, 0.0, 1.0, 2 / 3]
    base, customized = scores(EvaluationStage.BASE, thirds), scores(EvaluationStage.CUSTOMIZED, [1.0] * 4)
    opened.save_scores(JOB, SLUG, customized)
    opened.save_scores(JOB, SLUG, scores(EvaluationStage.BASE, [0.0] * 4))
    opened.save_scores(JOB, SLUG, base)
    opened.save_scores(JOB, REFERENCE, scores(EvaluationStage.REFERENCE, thirds))
    opened.save_scores("f" * 24, SLUG, base)
    assert opened.scores(JOB)[:2] == [(SLUG, base), (SLUG, customized)]
    assert [slug for slug, _ in opened.scores(JOB)] == [SLUG, SLUG, REFERENCE]


def test_notes_are_kept_in_order_whoever_writes_them(opened: RunRepository) -> None:
    for text in ("one", "two", "three"):
        opened.note(JOB, text)
    noted = [event.split(" ", 1) for event in opened.get(JOB).events]
    assert [text for _, text in noted] == ["one", "two", "three"]
    assert [datetime.fromisoformat(at).tzinfo for at, _ in noted] == [UTC] * 3
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: opened.note(JOB, str(n)), range(20)))
    assert len(opened.get(JOB).events) == 23


def test_recent_runs_come_newest_first_by_client(runs: RunRepository) -> None:
    for n in range(5):
        client = "acme" if n % 2 == 0 else "rival"
        runs.open(document(f"{n:024x}", client_id=client, created_at=f"2026-01-0{n + 1}T00:00:00.000+00:00"))
    assert [int(run.job_id, 16) for run in runs.recent(limit=3)] == [4, 3, 2]
    assert [int(run.job_id, 16) for run in runs.recent(client_id="acme")] == [4, 2, 0]

"""A whole turn: started in each of the three ways, decided, told, and nothing left behind."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from include.flywheel.datasets.report import DatasetReport
from include.flywheel.evaluation.decision import Decision
from include.flywheel.evaluation.specs import Stage
from include.flywheel.runs.documents import RunDocument
from include.flywheel.runs.repository import REFERENCE
from include.flywheel.runs.states import NimStatus, RunStatus, StageName

from .conftest import NIMS, ORDERS, SUPPORT, TURNED, TURNED_AGAIN
from .world import World


def test_the_document_tells_what_airflow_tells(turned: RunDocument, world: World) -> None:
    assert turned.status is RunStatus.COMPLETED
    assert turned.error is None
    assert turned.simulated is True
    assert turned.started_at < turned.everything_down_at <= turned.finished_at
    states = {
        (one["task_id"], one["map_index"]): one["state"] for one in world.api.task_instances(SUPPORT, TURNED)
    }
    # Its profile has no judge.
    assert states.pop(("deploy_judge", -1)) == "skipped"
    assert set(states.values()) == {"success"}
    assert [nim.status for nim in world.runs.nims(turned.job_id)] == [NimStatus.COMPLETED] * 2


def test_every_record_is_accounted_for(turned: RunDocument) -> None:
    report = DatasetReport.model_validate(turned.dataset)
    report.ledger.check()
    assert report.ledger.records_read == 900
    assert report.ledger.older_than_limit > 0
    assert report.eval.records == 60
    assert report.overlap.none
    assert report.seed == 3


def test_what_users_said_changed_what_trains(turned: RunDocument, thumbs: int) -> None:
    said = DatasetReport.model_validate(turned.dataset).feedback
    assert said is not None
    said.check()
    assert (said.use, said.read) == ("filter", thumbs)
    assert said.removed > 0
    assert said.liked > 0
    assert bool(said.agreement) == bool(said.holdout), "scores and thumbs are compared where there are both"


def test_scores_were_measured_on_each_stage_of_each_nim(turned: RunDocument, world: World) -> None:
    scores = {(slug, one.stage): one for slug, one in world.runs.scores(turned.job_id)}
    slugs = [name.replace("/", "-") for name in NIMS]
    assert set(scores) == {(REFERENCE, Stage.REFERENCE)} | {
        (slug, stage) for slug in slugs for stage in (Stage.BASE, Stage.ICL, Stage.CUSTOMIZED)
    }
    items = {tuple(one.item_ids) for one in scores.values()}
    assert len(items) == 1, "every model answers the same items"
    for slug in slugs:
        base, customized = scores[slug, Stage.BASE], scores[slug, Stage.CUSTOMIZED]
        primary = "function_name_and_args_accuracy"
        assert customized.mean(primary) > base.mean(primary) + 0.2, "there is something to learn"
        shown = world.runs.nim(turned.job_id, slug).stages[StageName.CUSTOMIZED_EVAL].scores[primary]
        assert shown == pytest.approx(customized.mean(primary))
    assert scores[slugs[0], Stage.BASE].scores != scores[slugs[1], Stage.BASE].scores


def test_the_same_seed_gives_the_same_numbers_twice(turned: RunDocument, world: World) -> None:
    again = world.document(SUPPORT, TURNED_AGAIN)

    def built(run: RunDocument) -> dict[str, Any]:
        """The data set without what became known with the scores: this run has one NIM less."""
        feedback = run.dataset["feedback"] | {"agreement": []}
        return run.dataset | {"feedback": feedback}

    assert built(again) == built(turned), "the same records, sets and digests"

    def numbers(run: RunDocument) -> dict[Any, Any]:
        return {(slug, one.stage): (one.item_ids, one.scores) for slug, one in world.runs.scores(run.job_id)}

    first, second = numbers(turned), numbers(again)
    assert len(second) == 4
    assert {key: first[key] for key in second} == second


def test_the_decision_stands_on_the_production_model_asked_again(turned: RunDocument) -> None:
    decision = Decision.model_validate(turned.decision)
    assert decision.bar.model == "local/shop-agent-large"
    assert len(decision.candidates) == 6
    assert [winner["nim"] for winner in turned.winners] == ([decision.winner.nim] if decision.winner else [])


def test_the_application_was_told_once(turned: RunDocument, world: World) -> None:
    [event] = world.received(turned.job_id)
    assert event["event"] == "run.completed"
    assert event["verdict"] == turned.decision["verdict"]
    assert turned.notification["delivered"] is True
    assert turned.notification["status"] == 200
    assert event["report_url"].startswith(world.stack.airflow_url)


def test_nothing_is_left_running(turned: RunDocument, world: World) -> None:
    left = world.remote(f"run-{turned.job_id}")
    assert left["deployments"] == []
    assert left["live_jobs"] == []
    assert left["datasets"] == [f"fw-{turned.job_id}"], "the data set stays, with the run"
    assert not (world.stack.layout.staging / turned.job_id).exists()


def test_the_job_id_is_the_one_that_clients_know(turned: RunDocument) -> None:
    assert turned.job_id == hashlib.sha256(f"{SUPPORT}/{TURNED}".encode()).hexdigest()[:24]


def test_the_grid_names_each_nim(turned: RunDocument, world: World) -> None:
    mapped = [one for one in world.api.task_instances(SUPPORT, TURNED) if one["map_index"] >= 0]
    assert mapped
    assert {one["task_id"]: None for one in mapped if one["rendered_map_index"] not in NIMS} == {}
    for task_id in {one["task_id"] for one in mapped}:
        names = {one["rendered_map_index"] for one in mapped if one["task_id"] == task_id}
        assert names == set(NIMS), task_id


def test_the_schedule_starts_a_run(world: World) -> None:
    def scheduled() -> list[dict[str, Any]]:
        found = world.api.get(f"/api/v2/dags/{ORDERS}/dagRuns", run_type="scheduled")["dag_runs"]
        return list(found)

    world.wait_for("a scheduled run", lambda: bool(scheduled()), seconds=150)
    [run] = scheduled()
    state = world.finish(ORDERS, run["dag_run_id"])
    document = world.document(ORDERS, run["dag_run_id"])
    assert (state, document.status) == ("success", RunStatus.COMPLETED), document.error
    assert document.workload_id == "order_desk"

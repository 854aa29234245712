"""An embedding job: from what people read of what a help centre showed them, to a model that finds more."""

from __future__ import annotations

from datetime import datetime

import pytest

from include.flywheel.evaluation.decision import BarKind, Decision, Verdict
from include.flywheel.evaluation.specs import Stage
from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.load import load
from include.flywheel.runs.documents import RunDocument
from include.flywheel.runs.states import NimStatus, RunStatus, StageName, StageStatus
from include.local_stack.traffic.help_centre import help_centre, lines

from .conftest import ON_DEMAND, SUPPORT
from .world import World

CLIENT, WORKLOAD, RUN = "acme-shop", "help_centre", "embedding-job"
ALIKE = "alike-by-embeddings"
NIM = "nvidia/llama-3.2-nv-embedqa-1b-v2"
QUESTIONS, HOLDOUT = 600, 120


@pytest.fixture(scope="module")
def alike(world: World, turned: RunDocument) -> RunDocument:
    """A run of LLMs, started beside the embedding job, whose examples an embedding NIM chooses."""
    assert world.finish(SUPPORT, ALIKE) == "success", world.document(SUPPORT, ALIKE).error
    return world.document(SUPPORT, ALIKE)


@pytest.fixture(scope="module")
def turned(world: World) -> RunDocument:
    """One embedding job by REST, with no profile named."""
    chosen = {"example_selection": "semantic_similarity", "embedding": {"model": NIM}}
    split = {"eval_size": 20, "limit": 300}
    world.start(
        SUPPORT,
        ALIKE,
        client_id=CLIENT,
        workload_id="support_agent",
        nims=["meta/llama-3.2-1b-instruct"],
        icl=chosen,
        data_split_config=split,
    )
    records = help_centre(
        client_id=CLIENT, workload_id=WORKLOAD, seed=11, questions=QUESTIONS, start_ms=1_767_600_000_000
    )
    load(lines(records), FileLogStore(world.stack.layout.log_store), CLIENT, WORKLOAD).check()
    conf = {"client_id": CLIENT, "workload_id": WORKLOAD, "job_type": "embedding_job"}
    world.start(ON_DEMAND, RUN, **conf, data_split_config={"eval_size": HOLDOUT, "random_seed": 5})
    assert world.finish(ON_DEMAND, RUN) == "success", world.document(ON_DEMAND, RUN).error
    return world.document(ON_DEMAND, RUN)


def test_every_record_is_accounted_for(turned: RunDocument) -> None:
    assert turned.dataset is not None
    ledger = turned.dataset["ledger"]
    invalid = {reason: tally["count"] for reason, tally in ledger["invalid"].items()}
    assert set(invalid) == {"no retrieved document was used", "the call failed (`error`)"}
    parts = ("duplicates", "passages", "train", "val", "eval", "held_out_with_conversation")
    assert ledger["records_read"] == QUESTIONS + 1 == sum(invalid.values()) + sum(ledger[p] for p in parts)
    assert ledger["eval"] == HOLDOUT
    assert turned.dataset["kind"] == "retrieval"


def test_the_customized_model_finds_more_than_the_nim_as_it_is(turned: RunDocument, world: World) -> None:
    [nim] = world.runs.nims(turned.job_id)
    assert (nim.nim, nim.status) == (NIM, NimStatus.COMPLETED)
    scores = {stage: nim.stages[stage].scores for stage in (StageName.BASE_EVAL, StageName.CUSTOMIZED_EVAL)}
    for found in scores.values():
        assert set(found) == {"ndcg_at_10", "recall_at_1", "recall_at_5", "recall_at_10"}
        assert 0 < found["recall_at_1"] <= found["recall_at_5"] <= found["recall_at_10"] <= 1
    base, customized = scores.values()
    assert customized["ndcg_at_10"] > base["ndcg_at_10"] + 0.2
    for stage in scores:
        assert nim.stages[stage].items == HOLDOUT
        assert "the evaluator says" not in (nim.stages[stage].detail or ""), "means agree"


def test_examples_do_not_apply(turned: RunDocument, world: World) -> None:
    [nim] = world.runs.nims(turned.job_id)
    icl = nim.stages[StageName.ICL_EVAL]
    assert (icl.status, icl.detail) == (StageStatus.SKIPPED, "not applicable to embedding models")
    assert (icl.scores, icl.remote_id) == ({}, None)
    assert [file["name"] for file in (turned.dataset or {})["files"] if "icl" in file["name"]] == []


def test_the_verdict_compares_it_with_the_nim_as_it_is(turned: RunDocument) -> None:
    assert turned.status is RunStatus.COMPLETED
    decision = Decision.model_validate(turned.decision)
    assert (decision.primary_score, decision.bar.kind) == ("ndcg_at_10", BarKind.REFERENCE)
    assert (decision.bar.model, decision.bar.items) == (NIM, HOLDOUT)
    [candidate] = decision.candidates
    assert (candidate.stage, candidate.verdict) == (Stage.CUSTOMIZED, Verdict.PROMOTABLE)
    assert candidate.difference is not None
    assert candidate.difference.low > 0.1
    [missing] = decision.missing
    assert (missing.stage, missing.reason) == (Stage.ICL, "not applicable to embedding models")
    assert decision.winner is not None
    assert decision.winner.model.startswith(f"flywheel/fw-{turned.job_id}-")


def test_it_took_the_place_of_its_base_on_the_same_gpus(turned: RunDocument, world: World) -> None:
    [nim] = world.runs.nims(turned.job_id)
    base, adapter = nim.stages[StageName.BASE_EVAL], nim.stages[StageName.ADAPTER]
    assert adapter.remote_id not in {None, nim.stages[StageName.DEPLOY].remote_id}
    assert base.finished_at is not None
    assert adapter.submitted_at is not None
    assert datetime.fromisoformat(adapter.submitted_at) >= datetime.fromisoformat(base.finished_at)
    serving = nim.leases["serving"]
    assert serving.released_at is not None
    assert serving.released_at >= adapter.submitted_at


def test_nothing_is_left_deployed(turned: RunDocument, world: World) -> None:
    left = world.remote(f"run-{turned.job_id}")
    assert (left["deployments"], left["live_jobs"]) == ([], [])
    assert [lease for lease in world.leases.held() if lease.job_id == turned.job_id] == []
    assert [event["event"] for event in world.received(turned.job_id)] == ["run.completed"]


def test_an_embedding_nim_chooses_the_examples_of_an_llm(alike: RunDocument, world: World) -> None:
    """It is deployed for that while the data set is built, and gone afterwards; all that say so name it."""
    assert alike.embedding is not None
    named = f"embeddings of {NIM}"
    assert (alike.embedding.model, alike.embedding.method, alike.embedding.error) == (NIM, named, None)
    assert alike.embedding.deployment_status == "completed"
    assert (alike.dataset or {})["icl"]["likeness"] == named
    [nim] = world.runs.nims(alike.job_id)
    icl = nim.stages[StageName.ICL_EVAL]
    assert (icl.status, icl.detail) == (StageStatus.COMPLETED, f"examples chosen by {named}")
    assert set(icl.scores) == set(nim.stages[StageName.BASE_EVAL].scores)
    deployments = world.nemo.get("/v1/deployment/model-deployments", params={"page_size": 1000}).json()
    assert [one["name"] for one in deployments["data"] if "embedding" in one["name"]] == []
    assert [lease for lease in world.leases.held() if "embedding" in lease.slug] == []

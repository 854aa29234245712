"""Runs as the wheel would have written them down, each full of what only its client may see."""

from __future__ import annotations

from typing import Any

from include.flywheel.datasets.ledger import RunLedger
from include.flywheel.datasets.report import (
    ConversationsReport,
    DatasetReport,
    FileReport,
    IclReports,
    Overlap,
    RepeatedRequests,
    SetReport,
)
from include.flywheel.evaluation.decision import DecisionInputs, MissingStage
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import PRIMARY_SCORE
from include.flywheel.evaluation.specs import Stage as Evaluation
from include.flywheel.evaluation.verdict import decide
from include.flywheel.logs.tally import Tally
from include.flywheel.runs import ids
from include.flywheel.runs.documents import NimDocument, RunDocument, Stage
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import NimStatus, RunStatus, StageName, StageStatus

NIMS = ("meta/llama-3.2-1b-instruct", "meta/llama-3.1-8b-instruct")
_STARTED, _ENDED = "2026-03-02T09:30:00.000+00:00", "2026-03-02T09:42:10.250+00:00"
_ITEMS = 20


def write_run(
    runs: RunRepository, dag_id: str, run_id: str, client: str, workload: str, status: RunStatus
) -> RunDocument:
    """A run in that state with two NIMs: one evaluated, one that failed with an error of its client's."""
    job_id = ids.job_id(dag_id, run_id)
    over = {"finished_at": _ENDED, "everything_down_at": _ENDED} if status.is_over else {}
    decision = _decision(client) if status is RunStatus.COMPLETED else None
    document = runs.open(
        RunDocument(
            job_id=job_id,
            dag_id=dag_id,
            run_id=run_id,
            client_id=client,
            workload_id=workload,
            status=status,
            conf={"client_id": client, "workload_id": workload, "config_name": "laptop"},
            created_at=_STARTED,
            started_at=_STARTED,
            dataset_uri=f"hf://datasets/{client}/{ids.dataset(job_id)}",
            dataset=_dataset(client) if status.is_over else None,
            decision=decision,
            notification=_notification(client, status),
            error=f"the log of {client} cannot be read" if status is RunStatus.FAILED else None,
            events=[f"{_STARTED} opened for {client}"],
            **over,
        )
    )
    scores = _scores(client)
    runs.open_nims([_evaluated(job_id, scores), _failed(job_id, client)])
    runs.save_scores(job_id, _slug(NIMS[0]), scores)
    return document


def _notification(client: str, status: RunStatus) -> dict[str, Any] | None:
    """As the last tasks write it: told, or why not."""
    if status is RunStatus.COMPLETED:
        url = f"https://{client}.example.org/events"
        sent = {"event_id": f"event-of-{client}", "url": url, "attempts": 1, "status": 200, "error": None}
        return {"event": "run.completed", "delivered": True, "finished_at": _ENDED, **sent}
    if status is RunStatus.FAILED:
        return {"delivered": False, "error": f"connection '{client}' is missing", "finished_at": _ENDED}
    return None


def _dataset(client: str) -> dict[str, Any]:
    """Twenty items that are all held out, of a log with one bad line."""
    tally = {f"no messages of {client}": Tally(count=1, example=f"{client}.jsonl:7")}
    ledger = RunLedger(
        in_store=_ITEMS + 1,
        older_than_limit=0,
        records_read=_ITEMS + 1,
        invalid=tally,
        duplicates=0,
        train=0,
        val=0,
        eval=_ITEMS,
        held_out_with_conversation=0,
    )
    ledger.check()
    empty = SetReport(
        records=0, conversations=0, labels={}, first_timestamp_ms=None, last_timestamp_ms=None, row_bytes=None
    )
    return DatasetReport(
        kind="tool_calling",
        kind_because="all records call a tool",
        seed=7,
        strategy="stratified",
        stratified_by="tool",
        grouping=ConversationsReport(
            conversations=_ITEMS, by_session=_ITEMS, by_messages=0, single=0, largest=1
        ),
        ledger=ledger,
        files=[FileReport(name="eval.jsonl", records=_ITEMS, bytes=99, sha256="f" * 64)],
        digest="d" * 64,
        train=empty,
        val=empty,
        eval=empty,
        overlap=Overlap(requests={}, conversations={}),
        repeated=RepeatedRequests(),
        icl=IclReports(),
        first_timestamp_ms=0,
        last_timestamp_ms=1,
    ).model_dump(mode="json")


def _slug(name: str) -> str:
    return name.replace("/", "-")


def _evaluated(job_id: str, scores: StageScores) -> NimDocument:
    done = {"status": StageStatus.COMPLETED, "submitted_at": _STARTED, "started_at": _STARTED}
    stages = {
        StageName.DEPLOY: Stage(**done, finished_at=_ENDED),
        StageName.BASE_EVAL: Stage(**done, finished_at=_ENDED, scores=scores.means(), items=_ITEMS),
    }
    return NimDocument(
        job_id=job_id, nim=NIMS[0], slug=_slug(NIMS[0]), order=0, status=NimStatus.COMPLETED, stages=stages
    )


def _failed(job_id: str, client: str) -> NimDocument:
    why = f"401 from the registry of {client}"
    stage = Stage(status=StageStatus.FAILED, error=why, remote_id=f"{client}/deployment-1")
    return NimDocument(
        job_id=job_id,
        nim=NIMS[1],
        slug=_slug(NIMS[1]),
        order=1,
        status=NimStatus.FAILED,
        stages={StageName.DEPLOY: stage},
        error=f"deploy: {why}",
    )


def _scores(client: str) -> StageScores:
    return StageScores(
        nim=NIMS[0],
        model=NIMS[0],
        stage=Evaluation.BASE,
        scores={PRIMARY_SCORE: [1.0] * 15 + [0.0] * 5},
        item_ids=[f"{client}-item-{number:02}" for number in range(_ITEMS)],
        conversation_ids=[f"{client}-conversation-{number}" for number in range(_ITEMS)],
    )


def _decision(client: str) -> dict[str, Any]:
    missing = [MissingStage(nim=NIMS[1], stage=Evaluation.BASE, reason=f"401 from the registry of {client}")]
    inputs = DecisionInputs(candidates=[_scores(client)], missing=missing, min_quality=0.5, seed=7)
    return decide(inputs).model_dump(mode="json")

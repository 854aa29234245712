"""What `runs show` says of a run, for people."""

from __future__ import annotations

from typing import Any

from include.cli.runs_show import show_lines
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
from include.flywheel.runs.documents import LeaseTimes, NimDocument, Reference, RunDocument, Stage
from include.flywheel.runs.states import NimStatus, RunStatus, StageName, StageStatus

JOB = "0123456789abcdef01234567"


def at(minute: int, second: int = 0) -> str:
    return f"2026-03-02T09:{minute:02}:{second:02}.000+00:00"


def run(**changes: Any) -> RunDocument:
    fields = {
        "job_id": JOB,
        "dag_id": "flywheel__acme__desk",
        "run_id": "manual__[1]",
        "client_id": "acme",
        "workload_id": "desk",
        "status": RunStatus.RUNNING,
        "created_at": at(0),
    }
    return RunDocument(**(fields | changes))


def nim(**changes: Any) -> NimDocument:
    return NimDocument(**({"job_id": JOB, "nim": "meta/small", "slug": "meta-small", "order": 0} | changes))


def shown(document: RunDocument, *nims: NimDocument, width: int = 120, unicode: bool = True) -> list[str]:
    return show_lines(document, nims, at(30), width, unicode=unicode)


def words(lines: list[str]) -> list[str]:
    return [" ".join(line.split()) for line in lines]


def dataset() -> dict[str, Any]:
    ledger = RunLedger(
        in_store=25,
        older_than_limit=0,
        records_read=25,
        invalid={"no messages": Tally(count=3, example="day.jsonl:7")},
        duplicates=2,
        train=10,
        val=2,
        eval=7,
        held_out_with_conversation=1,
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
        grouping=ConversationsReport(conversations=20, by_session=20, by_messages=0, single=0, largest=3),
        ledger=ledger,
        files=[FileReport(name="train.jsonl", records=10, bytes=99, sha256="f" * 64)],
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


def decision() -> dict[str, Any]:
    candidate = StageScores(
        nim="meta/small",
        model="meta/small",
        stage=Evaluation.BASE,
        scores={PRIMARY_SCORE: [1.0] * 90 + [0.0] * 10},
        item_ids=[f"{n:03}" for n in range(100)],
        conversation_ids=[f"c{n}" for n in range(100)],
    )
    lost = MissingStage(nim="meta/small", stage=Evaluation.CUSTOMIZED, reason="out of memory")
    inputs = DecisionInputs(candidates=[candidate], missing=[lost], min_quality=0.5, seed=7)
    return decide(inputs).model_dump(mode="json")


def test_the_way_of_the_data_adds_up_and_digests_are_short() -> None:
    lines = words(shown(run(dataset=dataset(), dataset_uri="hf://datasets/default/fw-1")))
    for line in ("read 25", "no messages 3 e.g. day.jsonl:7", "train 10", "val 2", "eval 7"):
        assert line in lines
    assert any(line.startswith("held out 1") for line in lines)
    assert "train.jsonl 10 records ffffffffffff" in lines
    assert "digest dddddddddddd, seed 7; hf://datasets/default/fw-1" in lines


def test_a_data_set_that_is_not_uploaded_says_so() -> None:
    assert "digest dddddddddddd, seed 7; not uploaded" in words(shown(run(dataset=dataset())))


def test_verdicts_have_reasons_and_scores_intervals() -> None:
    lines = words(shown(run(decision=decision()), nim()))
    assert any("meta/small base 90.0 % [" in line for line in lines)
    assert any(line.startswith("meta/small base: PROMOTABLE, ") for line in lines)
    assert "meta/small customized: not evaluated, out of memory" in lines


def test_without_a_verdict_the_means_are_shown_as_such() -> None:
    reference = Reference(model="agent", stage=Stage(scores={PRIMARY_SCORE: 0.9}))
    stages = {StageName.BASE_EVAL: Stage(scores={PRIMARY_SCORE: 0.25})}
    lines = words(shown(run(reference=reference), nim(stages=stages)))
    assert f"agent reference_eval {PRIMARY_SCORE} 90.0%" in lines
    assert f"meta/small base_eval {PRIMARY_SCORE} 25.0%" in lines
    assert "no verdict yet: means without intervals" in lines


def test_gpus_that_were_held_waited_for_and_given_up() -> None:
    leases = {
        "training": LeaseTimes(gpus=2, asked_at=at(1), granted_at=at(2), released_at=at(5)),
        "serving": LeaseTimes(gpus=1, asked_at=at(25), detail="0 of 2 GPUs are free, needs 1"),
    }
    other = {
        "training": LeaseTimes(gpus=1, asked_at=at(1), granted_at=at(1, 3)),
        "serving": LeaseTimes(gpus=1, asked_at=at(1), released_at=at(3)),
    }
    lines = words(shown(run(), nim(leases=leases), nim(nim="meta/large", leases=other)))
    assert "meta/small training 2 GPUs waited 1 min 00 s held them 3 min 00 s" in lines
    assert "meta/small serving 1 GPU waited 5 min 00 s waits: 0 of 2 GPUs are free, needs 1" in lines
    assert "meta/large training 1 GPU waited 3.0 s holds them" in lines
    assert "meta/large serving 1 GPU waited 2 min 00 s gave up" in lines


def test_stages_with_what_nemo_calls_them_and_why_they_failed() -> None:
    stages = {
        StageName.DEPLOY: Stage(status=StageStatus.COMPLETED, remote_id="default/fw-1", attempt=1),
        StageName.BASE_EVAL: Stage(
            status=StageStatus.FAILED, attempt=2, remote_id="e", remote_uri="/v1/e", error="[/timeout]"
        ),
        StageName.ICL_EVAL: Stage(status=StageStatus.SKIPPED, detail="no example fits"),
    }
    document = nim(
        stages=stages, status=NimStatus.FAILED, error="base_eval: [/timeout]", customized_model="default/m"
    )
    lines = words(shown(run(), document))
    assert "meta/small deploy completed default/fw-1" in lines
    assert "meta/small base_eval failed attempt 2 /v1/e [/timeout]" in lines
    assert "meta/small icl_eval skipped no example fits" in lines
    assert "meta/small answers customized as default/m" in lines
    assert "meta/small failed: base_eval: [/timeout]" in lines


def test_the_head_says_how_it_ended_and_what_it_rests_on() -> None:
    document = run(
        status=RunStatus.CANCELLED,
        started_at=at(1),
        finished_at=at(9, 30),
        cancel_requested_at=at(8),
        everything_down_at=at(9),
        pass_number=2,
        resolved={"config_name": "laptop", "seed": 7},
        versions={"numpy": "2.3.5"},
        digests={"scores": "9" * 64},
        simulated=True,
        error="the run was marked failed by hand",
        notification={"delivered": False, "error": "connection 'application' is not configured"},
        events=["2026-03-02T09:08:00.000+00:00 cancel asked"],
    )
    lines = shown(document)
    assert lines[0] == "Run manual__[1] of flywheel__acme__desk: cancelled"
    text = "\n".join(lines)
    for said in (
        f"job {JOB}, acme / desk",
        "began 2026-03-02 09:01:00, ended 2026-03-02 09:09:30 after 8 min 30 s (UTC)",
        "cancel asked 2026-03-02 09:08:00",
        "nothing of it ran after 2026-03-02 09:09:00",
        "retried 2 times",
        "profile laptop, seed 7",
        "numpy 2.3.5",
        "digests: scores 999999999999",
        "stand-in took NeMo's place",
        "why: the run was marked failed by hand",
        "not delivered: connection 'application' is not configured",
        "  2026-03-02T09:08:00.000+00:00 cancel asked",
    ):
        assert said in text


def test_a_run_that_has_only_begun_has_no_empty_sections() -> None:
    lines = shown(run())
    titles = [line for line in lines if line and not line.startswith(" ")]
    assert titles == ["Run manual__[1] of flywheel__acme__desk: running", "Timeline (UTC)"]
    assert "stand-in" not in "\n".join(lines)


def test_the_timeline_keeps_to_the_terminal_and_to_its_characters() -> None:
    stages = {StageName.BASE_EVAL: Stage(status=StageStatus.RUNNING, submitted_at=at(1), started_at=at(2))}
    lines = shown(run(), nim(stages=stages), width=72, unicode=False)
    [bar] = [line for line in lines if line.count("|") == 2]
    assert len(bar) <= 72
    assert bar.isascii()

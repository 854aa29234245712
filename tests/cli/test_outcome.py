"""What the terminal says of a run that is over."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from include.cli.outcome import show_outcome
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
from include.flywheel.evaluation.decision import DecisionInputs
from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import PRIMARY_SCORE, Stage
from include.flywheel.evaluation.verdict import decide
from include.flywheel.logs.tally import Tally
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import RunStatus


def dataset() -> dict[str, Any]:
    ledger = RunLedger(
        in_store=30,
        older_than_limit=5,
        records_read=25,
        invalid={"no messages": Tally(count=3, example="day.jsonl:[7]")},
        duplicates=2,
        train=10,
        val=2,
        eval=7,
        held_out_with_conversation=1,
    )
    ledger.check()
    nothing = SetReport(
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
        train=nothing,
        val=nothing,
        eval=nothing,
        overlap=Overlap(requests={}, conversations={}),
        repeated=RepeatedRequests(),
        icl=IclReports(),
        first_timestamp_ms=0,
        last_timestamp_ms=1,
    ).model_dump(mode="json")


def decision() -> dict[str, Any]:
    def scores(nim: str, stage: Stage, right: int) -> StageScores:
        return StageScores(
            nim=nim,
            model=nim,
            stage=stage,
            scores={PRIMARY_SCORE: [1.0] * right + [0.0] * (100 - right)},
            item_ids=[f"{n:016x}" for n in range(100)],
            conversation_ids=[f"c{n}" for n in range(100)],
        )

    inputs = DecisionInputs(
        candidates=[scores("meta/small", Stage.BASE, 20), scores("meta/small", Stage.CUSTOMIZED, 97)],
        reference=scores("local/agent", Stage.REFERENCE, 90),
        seed=7,
    )
    return decide(inputs).model_dump(mode="json")


def delivered(**changes: Any) -> dict[str, Any]:
    return {
        "event": "run_completed",
        "delivered": True,
        "event_id": "e-1",
        "url": "http://127.0.0.1:8701/flywheel-events",
        "attempts": 2,
        **changes,
    }


@pytest.fixture
def shown(
    runs: RunRepository, written: Callable[..., str], console: Console, tmp_path: Path
) -> Callable[..., tuple[bool, str]]:
    """Writes a run with the given fields; whether it is said to have completed, and what is printed."""

    def show(*received: dict[str, Any], **fields: Any) -> tuple[bool, str]:
        events = tmp_path / "events.jsonl"
        if received:
            events.write_text("".join(json.dumps(one) + "\n" for one in received))
        completed = show_outcome(runs, written(**fields), events, console)
        return completed, console.file.getvalue()  # type: ignore[attr-defined]

    return show


def test_a_completed_run_shows_ledger_scores_verdicts_and_notification(
    shown: Callable[..., tuple[bool, str]],
) -> None:
    completed, text = shown(
        {"idempotency_key": "e-0", "event": {"event": "of another run"}},
        {"idempotency_key": "e-1", "event": {"event": "run_completed", "winner": "[bold]meta/small[/bold]"}},
        status=RunStatus.COMPLETED,
        simulated=True,
        dataset=dataset(),
        decision=decision(),
        notification=delivered(),
    )
    assert completed
    lines = [" ".join(line.split()) for line in text.splitlines()]
    for line in ("in the log store 30", "older than the limit 5", "read 25", "train 10", "eval 7"):
        assert line in lines
    assert "no messages 3 e.g. day.jsonl:[7]" in lines
    assert any(line.startswith("meta/small customized: PROMOTABLE") for line in lines)
    assert any(line.startswith("meta/small base: REJECTED") for line in lines)
    assert any(line.startswith("Run: PROMOTABLE") for line in lines)
    assert any("stand-in took NeMo's place" in line for line in lines)
    assert "delivered to http://127.0.0.1:8701/flywheel-events in 2 attempt(s)" in text
    assert '"winner": "[bold]meta/small[/bold]"' in text
    assert "of another run" not in text
    assert lines[-1] == "Run manual__[1] of flywheel__acme__desk: completed"


def test_the_ledger_that_is_shown_adds_up(shown: Callable[..., tuple[bool, str]]) -> None:
    _, text = shown(dataset=dataset())
    counts = {}
    for line in text.splitlines():
        name, _, rest = line.strip().partition("  ")
        if rest.split() and rest.split()[0].isdigit():
            counts.setdefault(name, int(rest.split()[0]))
    assert counts["in the log store"] == counts["older than the limit"] + counts["read"]
    parts = ("invalid", "duplicates", "train", "val", "eval", "held out")
    assert counts["read"] == sum(counts[part] for part in parts)


def test_a_real_nemo_is_not_called_a_stand_in(shown: Callable[..., tuple[bool, str]]) -> None:
    _, text = shown(status=RunStatus.COMPLETED, simulated=False, decision=decision())
    assert "stand-in" not in text


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.RUNNING])
def test_a_run_that_did_not_complete_says_why_in_its_own_words(
    shown: Callable[..., tuple[bool, str]], status: RunStatus
) -> None:
    completed, text = shown(
        status=status,
        error="`nims` = [/huge]: unknown",
        notification={"delivered": False, "error": "connection [application] is not configured"},
    )
    assert not completed
    assert "  not delivered: connection [application] is not configured" in text
    assert text.endswith(f": {status.value}\n  `nims` = [/huge]: unknown\n")


def test_a_run_that_nobody_was_told_of_says_so(shown: Callable[..., tuple[bool, str]]) -> None:
    _, text = shown(status=RunStatus.FAILED)
    assert "not delivered: not sent" in text


def test_another_application_keeps_what_it_received(shown: Callable[..., tuple[bool, str]]) -> None:
    completed, text = shown(
        status=RunStatus.COMPLETED, notification=delivered(url="https://app.example/hooks")
    )
    assert completed
    assert "delivered to https://app.example/hooks" in text
    assert "by another application" in text


def test_a_run_without_document_points_to_its_first_task(
    runs: RunRepository, console: Console, tmp_path: Path
) -> None:
    assert not show_outcome(runs, "f" * 24, tmp_path / "events.jsonl", console)
    assert "look at the log of its first task" in console.file.getvalue()  # type: ignore[attr-defined]

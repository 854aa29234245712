"""Progress of a run: one line a change where there is no terminal, a table where there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import StringIO

import pytest
from rich.console import Console

from include.cli import progress
from include.cli.progress import Progress
from include.flywheel.evaluation.specs import PRIMARY_SCORE
from include.flywheel.runs.documents import Reference
from include.flywheel.runs.repository import REFERENCE, RunRepository
from include.flywheel.runs.states import RunStatus, StageName

SMALL, LARGE = "meta-small", "meta-large"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_REFRESH_SECONDS", 0.0)


def steps(*changes: Callable[[], object]) -> Callable[[], bool]:
    """An `is_over` that makes the next change at each look, and is over after the last."""
    left: Iterator[Callable[[], object]] = iter(changes)

    def is_over() -> bool:
        change = next(left, None)
        if change is None:
            return True
        change()
        return False

    return is_over


def said(console: Console) -> list[list[str]]:
    """The printed lines without the time, as words."""
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return [line.split(" s  ", 1)[1].split() for line in lines]


def test_each_change_is_said_once(runs: RunRepository, written: Callable[..., str], console: Console) -> None:
    job = written(status=RunStatus.PENDING)

    def stage(name: StageName, slug: str = SMALL, **fields: object) -> Callable[[], None]:
        return lambda: runs.set_stage(job, slug, name, **fields)

    changes = steps(
        lambda: None,
        lambda: runs.set_status(job, RunStatus.RUNNING),
        lambda: runs.update(job, dataset={"ledger": {"records_read": 1234}}),
        stage(StageName.DEPLOY, status="running", progress_percent=50.0),
        stage(StageName.DEPLOY, status="running", progress_percent=50.0),
        stage(StageName.DEPLOY, status="completed", progress_percent=100.0),
        stage(StageName.BASE_EVAL, status="completed", scores={PRIMARY_SCORE: 0.125}),
        stage(StageName.CUSTOMIZE, LARGE, status="failed", error="[Errno 111] [/refused]"),
    )
    Progress(runs, job, console).follow(changes)
    assert said(console) == [
        ["run", "status", "pending"],
        ["run", "status", "running"],
        ["run", "data", "set", "1234", "records", "read"],
        ["meta/small", "deploy", "running,", "50", "%"],
        ["meta/small", "deploy", "completed"],
        ["meta/small", "base", "completed,", PRIMARY_SCORE, "12.5%"],
        ["meta/large", "customize", "failed,", "[Errno", "111]", "[/refused]"],
    ]


def test_the_last_change_is_said_though_the_run_is_over(
    runs: RunRepository, written: Callable[..., str], console: Console
) -> None:
    job = written()

    def is_over() -> bool:
        return runs.set_status(job, RunStatus.COMPLETED)

    Progress(runs, job, console).follow(is_over)
    assert said(console) == [["run", "status", "completed"]]


def test_the_reference_is_said_by_its_models_name(
    runs: RunRepository, written: Callable[..., str], console: Console
) -> None:
    job = written(reference=Reference(model="local/agent"))
    runs.set_stage(job, REFERENCE, StageName.REFERENCE_EVAL, status="running")
    Progress(runs, job, console).follow(lambda: True)
    assert ["local/agent", "reference", "running"] in said(console)


def test_a_run_without_document_is_waited_for(
    runs: RunRepository, written: Callable[..., str], console: Console
) -> None:
    Progress(runs, "0123456789abcdef01234567", console).follow(steps(lambda: None, written))
    assert said(console) == [["run", "status", "running"]]


def test_a_terminal_gets_a_table_with_every_nim_and_score(
    runs: RunRepository, written: Callable[..., str]
) -> None:
    terminal = Console(file=StringIO(), width=160, force_terminal=True, color_system=None)
    job = written(reference=Reference(model="local/agent"))
    runs.set_stage(job, REFERENCE, StageName.REFERENCE_EVAL, status="completed", scores={PRIMARY_SCORE: 0.9})
    runs.set_stage(job, SMALL, StageName.BASE_EVAL, status="completed", scores={PRIMARY_SCORE: 0.0})
    runs.set_stage(job, LARGE, StageName.CUSTOMIZE, status="running", progress_percent=40.0)
    Progress(runs, job, terminal).follow(lambda: True)
    drawn = terminal.file.getvalue()  # type: ignore[attr-defined]
    rows = {line.split()[0]: line.split()[1:] for line in drawn.splitlines() if line.strip()}
    assert rows["local/agent"] == ["(production)", "90.0%"]
    assert rows["meta/small"] == ["pending", "0.0%", "pending", "pending", "pending"]
    assert rows["meta/large"] == ["pending", "pending", "pending", "running", "40", "%", "pending"]

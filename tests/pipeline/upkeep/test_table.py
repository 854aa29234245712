"""The report as people see it."""

from __future__ import annotations

import pytest

from include.flywheel.runs.documents import now
from include.flywheel.runs.upkeep_reports import MAX_ROWS, Action, Report, Row
from include.pipeline.upkeep.table import age, summary, table


def report(*rows: Row, dry_run: bool = False) -> Report:
    made = Report(report_id="r", dry_run=dry_run, started_at=now())
    for row in rows:
        made.add(row)
    return made


def row(name: str, action: Action = Action.REMOVED, error: str | None = None) -> Row:
    return Row(kind="lease", name=name, run="j", age_seconds=7300, reason="why", action=action, error=error)


def test_columns_stand_below_each_other() -> None:
    head, first, second = table(report(row("a"), row("long name", Action.FAILED, "it\n broke")))
    at = head.index("run")
    assert (first[at], second[at]) == ("j", "j")
    assert second.split() == ["lease", "long", "name", "j", "2", "h", "why", "failed", "it", "broke"]


def test_long_texts_are_cut_and_what_is_left_out_is_counted() -> None:
    made = report(row("a", Action.FAILED, "x" * 500), *(row(str(n)) for n in range(MAX_ROWS + 1)))
    lines = list(table(made))
    assert len(lines[1]) < 200
    assert lines[-1] == "… and 2 more"


def test_the_summary_counts_by_action() -> None:
    assert summary(report()) == "nothing had to go"
    assert summary(report(row("a"), row("b"), row("c", Action.FAILED))) == "1 failed, 2 removed"
    dry = report(row("a", Action.WOULD_REMOVE), dry_run=True)
    assert summary(dry) == "dry run, nothing was changed: 1 would remove"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(None, "?"), (0, "0 s"), (59.9, "59 s"), (60, "1 min"), (86_399, "23 h"), (200_000, "2 d")],
)
def test_ages_are_in_their_largest_unit(seconds: float | None, said: str) -> None:
    assert age(seconds) == said

"""Reports of the clean-up: rows are counted, capped, and replaced by a later try."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo.database import Database

from include.flywheel.errors import StateError
from include.flywheel.runs.documents import now
from include.flywheel.runs.upkeep_reports import MAX_ROWS, Action, Report, Row, UpkeepReports


def row(name: str, action: Action = Action.REMOVED, **fields: Any) -> Row:
    return Row.model_validate(
        {"kind": "lease", "name": name, "run": "j", "reason": "why", "action": action} | fields
    )


def report() -> Report:
    return Report(report_id="r", dry_run=False, started_at=now())


def test_a_report_comes_back_as_it_was_saved(mongo_database: Database[dict[str, Any]]) -> None:
    reports = UpkeepReports(mongo_database)
    reports.ensure_indexes()
    made = reports.open("r", dry_run=True)
    made.add(row("a", age_seconds=1.5))
    made.add(row("b", Action.FAILED, error="it did not answer"))
    reports.save(made)
    again = reports.open("r", dry_run=True)
    assert again == reports.get("r") == made
    assert (again.failures, again.dry_run) == (1, True)


def test_there_is_no_report_before_it_is_opened(mongo_database: Database[dict[str, Any]]) -> None:
    with pytest.raises(StateError, match="no report 'r'"):
        UpkeepReports(mongo_database).get("r")


def test_a_second_try_takes_the_row_of_the_one_that_failed() -> None:
    made = report()
    for one in (row("a", Action.FAILED, error="no"), row("b"), row("a"), row("b")):
        made.add(one)
    assert [(one.name, one.action) for one in made.rows] == [(name, Action.REMOVED) for name in "abb"]
    assert (made.counts, made.failures) == ({"lease": {Action.REMOVED: 3}}, 0)


def test_rows_are_capped_and_what_is_left_out_is_counted() -> None:
    made = report()
    for number in range(MAX_ROWS + 5):
        made.add(row(str(number)))
    assert (len(made.rows), made.rows_left_out) == (MAX_ROWS, 5)
    assert made.total[Action.REMOVED] == MAX_ROWS + 5


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(Action))))
def test_the_counts_are_those_of_the_rows(given_rows: list[tuple[str, Action]]) -> None:
    made = report()
    for name, action in given_rows:
        made.add(row(name, action))
    assert made.total == Counter(one.action for one in made.rows)
    assert made.rows_left_out == 0

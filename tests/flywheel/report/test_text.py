from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from include.flywheel.evaluation.verdict import decide
from include.flywheel.evaluation.words import number, percent, points
from include.flywheel.report.delivery import Delivery
from include.flywheel.report.text import align, report_lines, score_lines, winner_lines

DELIVERED = Delivery(
    delivered=True,
    event_id="e",
    url="http://app.test/hook",
    attempts=1,
    status=200,
    finished_at=datetime(2026, 3, 1, tzinfo=UTC),
)
INTERVAL = r"\[\d+\.\d, \d+\.\d\]"


@pytest.mark.parametrize(
    ("value", "as_percent", "as_points"),
    [
        (0.8174, "81.7 %", "+81.7"),
        (-0.0612, "\N{MINUS SIGN}6.1 %", "\N{MINUS SIGN}6.1"),
        (0.0, "0.0 %", "0.0"),
        (-0.0001, "0.0 %", "0.0"),
        (1.0, "100.0 %", "+100.0"),
    ],
)
def test_numbers_have_one_decimal_and_points_a_sign(value, as_percent, as_points):
    assert (percent(value), points(value)) == (as_percent, as_points)
    assert f"{number(value)} %" == as_percent


def test_every_stage_has_a_row_with_its_scores_and_intervals(inputs):
    first, bar, head, *rows = score_lines(decide(inputs()))

    assert first == (
        "Scores: function_name_and_args_accuracy, with 90.0 % intervals over conversations "
        "(200 items of 200 conversations)"
    )
    assert re.fullmatch(rf"  Bar: acme/agent asked again, 90\.0 % {INTERVAL}; the ideal is 100\.0 %", bar)
    columns = ["NIM", "stage", "score", "to the bar", "function_name", "verdict"]
    assert re.split(r" {2,}", head.strip()) == columns
    assert [re.split(r" {2,}", row.strip())[0:2] for row in rows] == [
        ["meta/large", "base"],
        ["meta/small", "base"],
        ["meta/small", "customized"],
    ]
    assert rows[0].split()[2:] == ["-", "-", "-", "not", "evaluated"]
    cells = re.split(r" {2,}", rows[2].strip())
    assert re.fullmatch(rf"92\.0 % {INTERVAL}", cells[2])
    assert cells[3].startswith("+2.0 pts [")
    assert cells[4:] == ["100.0 %", "PROMOTABLE"]
    for column in columns:
        at = head.index(column)
        assert all(row[at] != " " and row[at - 1] == " " for row in rows)


def test_the_report_tells_verdicts_winner_notification_and_notes(inputs):
    lines = report_lines(decide(inputs()), delivery=DELIVERED, notes=["answered by the stand-in"])

    text = "\n".join(lines)
    assert "meta/small base: REJECTED, at best \N{MINUS SIGN}" in text
    assert "meta/large base: not evaluated, no GPU is free" in text
    assert "Verdicts (margin 5.0 points; Bonferroni" in text
    assert "Winner: meta/small customized (flywheel/small@cust-1), 92.0 % [" in text
    assert "Notification: delivered to http://app.test/hook (HTTP 200, 1 try)" in lines
    assert lines[-1] == "Note: answered by the stand-in"
    assert all(line == line.rstrip() and "\n" not in line for line in lines)


def test_a_failed_notification_is_told_with_its_error(inputs):
    failed = DELIVERED.model_copy(
        update={"delivered": False, "attempts": 5, "status": 503, "error": "answered 503"}
    )

    lines = report_lines(decide(inputs()), delivery=failed)

    assert "Notification: not delivered to http://app.test/hook after 5 tries: answered 503" in lines


def test_a_threshold_is_told_as_the_bar(inputs):
    decision = decide(inputs(reference=None, min_quality=0.85, reference_missing_reason="it is not served"))

    assert "  Bar: min_quality, 85.0 %; the ideal is 100.0 % (it is not served)" in score_lines(decision)


def test_without_a_bar_the_remedy_is_told(inputs):
    decision = decide(inputs(reference=None))

    bar = score_lines(decision)[1]
    assert bar.startswith("  Bar: none; serve the production model")
    assert winner_lines(decision) == ["Winner: none"]


def test_a_run_without_any_scores_has_a_report_too(inputs):
    lines = report_lines(decide(inputs(candidates=[], missing=[])))

    assert "no candidate was evaluated" in lines[0]
    assert "Run: INCONCLUSIVE, no candidate has scores: none was evaluated" in lines


def test_columns_begin_at_the_same_place():
    assert align([["a", "bb", ""], ["aaa", "b", "c"]]) == ["a    bb", "aaa  b   c"]

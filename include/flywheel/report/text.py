"""The report of a run for a terminal: plain aligned lines, no colours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from include.flywheel.evaluation.decision import (
    Bar,
    BarKind,
    CandidateDecision,
    Decision,
    Estimate,
    MissingStage,
)
from include.flywheel.evaluation.measures import grade_shown
from include.flywheel.evaluation.words import number, percent, points
from include.flywheel.report.delivery import Delivery

INDENT = "  "
GAP = "  "
NOTHING = "-"


def report_lines(
    decision: Decision, *, delivery: Delivery | None = None, notes: Sequence[str] = ()
) -> list[str]:
    """The whole report: scores, verdicts, the winner, and how the notification went.

    `notes` are said at the end, for example that the models were a stand-in's. Intervals have the
    confidence that the first line names; differences are in points (hundredths of the score).
    """
    sections = [score_lines(decision), verdict_lines(decision), winner_lines(decision)]
    if delivery is not None:
        sections.append([f"Notification: {_delivered(delivery)}"])
    if notes:
        sections.append([f"Note: {note}" for note in notes])
    return [line for index, section in enumerate(sections) for line in ([""] if index else []) + section]


def delivery_lines(deliveries: Iterable[Mapping[str, Any]]) -> list[str]:
    """How the notifications of a run went, as its document keeps them: a line each."""
    return [
        f"{sent.get('event')} delivered to {sent.get('url')}"
        if sent.get("delivered")
        else f"not delivered: {sent.get('error', 'no reason given')}"
        for sent in deliveries
    ]


def score_lines(decision: Decision) -> list[str]:
    """The bar, and one row for each NIM and stage."""
    return [
        f"Scores: {decision.primary_score}, with {percent(decision.interval_confidence)} intervals "
        f"over conversations ({_amount(decision)})",
        f"{INDENT}Bar: {_bar(decision.bar)}",
        *(f"{INDENT}{row}" for row in _table(decision)),
    ]


def verdict_lines(decision: Decision) -> list[str]:
    """Each candidate's verdict with its reason, then the run's."""
    lines = [f"{INDENT}{c.nim} {c.stage.value}: {c.verdict.value}, {c.reason}" for c in decision.candidates]
    lines += [f"{INDENT}{m.nim} {m.stage.value}: not evaluated, {m.reason}" for m in decision.missing]
    margin = (
        f"margin {number(decision.gate.margin)} points; " if decision.bar.kind is BarKind.REFERENCE else ""
    )
    return [
        f"Verdicts ({margin}{decision.correction})",
        *lines,
        f"Run: {decision.verdict.value}, {decision.reason}",
    ]


def winner_lines(decision: Decision) -> list[str]:
    """Who won and by what rule, or that nobody did."""
    winner = decision.winner
    if winner is None:
        return ["Winner: none"]
    answered_by = f" ({winner.model})" if winner.model != winner.nim else ""
    return [
        f"Winner: {winner.nim} {winner.stage.value}{answered_by}, {_score(winner.score)}",
        f"{INDENT}chosen as {winner.rule}",
    ]


def _amount(decision: Decision) -> str:
    if not decision.candidates:
        return "no candidate was evaluated"
    items = sorted({(c.items, c.conversations) for c in decision.candidates})
    return "; ".join(f"{count} items of {conversations} conversations" for count, conversations in items)


def _bar(bar: Bar) -> str:
    note = f" ({bar.note})" if bar.note else ""
    if bar.kind is BarKind.REFERENCE and bar.score is not None:
        left_out = f", {bar.items_left_out} items without its answer left out" if bar.items_left_out else ""
        return f"{bar.model} asked again, {_score(bar.score)}; the ideal is {percent(bar.ideal)}{left_out}"
    if bar.kind is BarKind.MIN_QUALITY and bar.threshold is not None:
        return f"min_quality, {percent(bar.threshold)}; the ideal is {percent(bar.ideal)}{note}"
    return f"none{note}; {bar.remedy}"


def _table(decision: Decision) -> list[str]:
    others = sorted({name for c in decision.candidates for name in c.scores} - {decision.primary_score})
    head = ["NIM", "stage", "score", "to the bar", *others, "verdict"]
    entries: list[CandidateDecision | MissingStage] = [*decision.candidates, *decision.missing]
    entries.sort(key=lambda entry: (entry.nim, entry.stage.order))
    rows = [
        _row(decision, entry, others)
        if isinstance(entry, CandidateDecision)
        else [entry.nim, entry.stage.value, *[NOTHING] * (2 + len(others)), "not evaluated"]
        for entry in entries
    ]
    return align([head, *rows]) if rows else []


def _row(decision: Decision, candidate: CandidateDecision, others: Sequence[str]) -> list[str]:
    return [
        candidate.nim,
        candidate.stage.value,
        _score(candidate.score) + _grade(decision, candidate),
        NOTHING if candidate.difference is None else _difference(candidate.difference),
        *(_other(name, candidate.scores[name]) if name in candidate.scores else NOTHING for name in others),
        candidate.verdict.value + (f" ({candidate.errors} without an answer)" if candidate.errors else ""),
    ]


def _other(name: str, value: float) -> str:
    return grade_shown(name, value) or percent(value)


def _grade(decision: Decision, candidate: CandidateDecision) -> str:
    """A judge's mean also on the scale that it was given."""
    grade = grade_shown(decision.primary_score, candidate.score.value)
    return f" = {grade}" if grade else ""


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of equally many cells as lines whose columns begin at the same place."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _score(estimate: Estimate) -> str:
    return f"{percent(estimate.value)} [{number(estimate.low)}, {number(estimate.high)}]"


def _difference(estimate: Estimate) -> str:
    return f"{points(estimate.value)} pts [{points(estimate.low)}, {points(estimate.high)}]"


def _delivered(delivery: Delivery) -> str:
    tries = f"{delivery.attempts} {'try' if delivery.attempts == 1 else 'tries'}"
    if delivery.delivered:
        return f"delivered to {delivery.url} (HTTP {delivery.status}, {tries})"
    return f"not delivered to {delivery.url} after {tries}: {delivery.error}"

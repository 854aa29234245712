"""A report as a table for the task's log."""

from __future__ import annotations

from collections.abc import Iterator

from include.flywheel.runs.upkeep_reports import Report, Row

_HEAD = ("kind", "name", "run", "age", "reason", "action", "error")
# A log line longer than this is hard to read; the document has the whole text.
_WIDEST = 60
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def table(report: Report) -> Iterator[str]:
    """The lines of the table, and what it leaves out."""
    rows = [_HEAD, *map(_cells, report.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    if report.rows_left_out:
        yield f"… and {report.rows_left_out} more"


def summary(report: Report) -> str:
    """How many of what, in one line."""
    counts = [f"{number} {action.value}" for action, number in sorted(report.total.items()) if number]
    what = ", ".join(counts) or "nothing had to go"
    return f"dry run, nothing was changed: {what}" if report.dry_run else what


def age(seconds: float | None) -> str:
    """An age in its largest whole unit: `3 d`, `50 min`; `?` where nobody knows."""
    if seconds is None:
        return "?"
    unit, length = next(((unit, length) for unit, length in _UNITS if seconds >= length), _UNITS[-1])
    return f"{int(seconds // length)} {unit}"


def _cells(row: Row) -> tuple[str, ...]:
    run, error = row.run or "", row.error or ""
    cells = (row.kind, row.name, run, age(row.age_seconds), row.reason, row.action.value, error)
    return tuple(_short(cell) for cell in cells)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST - 1]}…"

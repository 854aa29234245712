"""Workloads for people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from include.flywheel.report.text import align
from include.flywheel.runs.workload_rows import WorkloadRow

_UNKNOWN = "-"


def workload_lines(rows: Sequence[WorkloadRow]) -> list[str]:
    """A line for each workload, as they come."""
    if not rows:
        return ["no workload is configured, and the logs hold none"]
    head = ["client / workload", "DAG", "records", "first", "last", "tools", "last run", "verdict"]
    return align([head, *map(_row, rows)])


def _row(row: WorkloadRow) -> list[str]:
    traffic, run = row.traffic, row.last_run
    return [
        f"{row.client_id} / {row.workload_id}",
        row.dag_id if row.configured else "not configured",
        f"{traffic.records:,}" if traffic else _UNKNOWN,
        _day(traffic.first_ms if traffic else None),
        _day(traffic.last_ms if traffic else None),
        _UNKNOWN if traffic is None or traffic.tool_share is None else f"{traffic.tool_share:.0%}",
        run.status.value if run else _UNKNOWN,
        (run.verdict if run else None) or _UNKNOWN,
    ]


def _day(time_ms: int | None) -> str:
    return _UNKNOWN if time_ms is None else f"{datetime.fromtimestamp(time_ms / 1000, tz=UTC):%Y-%m-%d}"

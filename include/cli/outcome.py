"""How a run ended, for the terminal: ledger, scores, verdicts, and what the application was told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from include.flywheel.datasets.card import card_lines
from include.flywheel.datasets.report import DatasetReport
from include.flywheel.evaluation.decision import Decision
from include.flywheel.report.text import report_lines
from include.flywheel.runs.documents import RunDocument
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import RunStatus


def show_outcome(runs: RunRepository, job_id: str, events_file: Path, console: Console) -> bool:
    """Print everything that is known of a run; returns whether it completed."""
    run = runs.find(job_id)
    if run is None:
        console.print("\nThe run wrote no document: look at the log of its first task.", style="red")
        return False
    if run.dataset is not None:
        console.print("\nData card", style="bold")
        for line in card_lines(DatasetReport.model_validate(run.dataset)):
            console.print(f"  {line}", markup=False, soft_wrap=True, highlight=False)
    if run.decision is not None:
        console.print()
        for line in report_lines(Decision.model_validate(run.decision), notes=_notes(run)):
            console.print(line, markup=False, soft_wrap=True)
    _show_notification(run, events_file, console)
    console.print(f"\nRun {run.run_id} of {run.dag_id}: {run.status.value}", style="bold", markup=False)
    if run.error:
        console.print(f"  {run.error}", style="red", markup=False)
    return run.status is RunStatus.COMPLETED


def _notes(run: RunDocument) -> list[str]:
    if not run.simulated:
        return []
    return [
        "the local stand-in took NeMo's place: its models are small, its latencies and durations simulated"
    ]


def _show_notification(run: RunDocument, events_file: Path, console: Console) -> None:
    console.print("\nNotification", style="bold")
    sent = run.notification
    if sent is None or not sent.get("delivered"):
        console.print(f"  not delivered: {(sent or {}).get('error', 'not sent')}", markup=False)
        return
    console.print(
        f"  {sent['event']} delivered to {sent['url']} in {sent['attempts']} attempt(s); received:",
        markup=False,
    )
    for shown in _received(events_file, sent["event_id"]):
        console.print(f"  {shown}", markup=False)


def _event_lines(event: dict[str, Any]) -> list[str]:
    """The event as JSON, one field a line and one candidate a line."""
    lines = []
    for key, value in event.items():
        if isinstance(value, list):
            lines.append(f'  "{key}": [')
            lines += [f"    {json.dumps(one, ensure_ascii=False)}," for one in value]
            lines.append("  ],")
        else:
            lines.append(f'  "{key}": {json.dumps(value, ensure_ascii=False)},')
    return ["{", *lines, "}"]


def _received(events_file: Path, event_id: str) -> list[str]:
    """The event as the local application kept it; a workload may name another application."""
    if events_file.exists():
        for line in events_file.read_text(encoding="utf-8").splitlines():
            received = json.loads(line)
            if received["idempotency_key"] == event_id:
                return _event_lines(received["event"])
    return ["(by another application than the local one)"]

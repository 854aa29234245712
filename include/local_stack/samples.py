"""The sample logs: generated once with the stand-in's production model, then kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from include.local_stack.traffic.chat import HttpChat
from include.local_stack.traffic.generate import generate
from include.local_stack.traffic.report import TrafficReport
from include.local_stack.traffic.workloads import WORKLOADS, Workload

CLIENT = "acme-shop"
# A fixed first day: the same seed gives the same lines whenever they are made.
_START_MS = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp() * 1000)
_DAYS = 14.0


def write(
    folder: Path, *, seed: int, chat_url: str, workloads: Mapping[str, Workload] = WORKLOADS
) -> dict[str, Path]:
    """JSONL file of each sample workload; one that is there already is not made again.

    Raises ChatFailed when the production model cannot be asked.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    with HttpChat(chat_url) as chat:
        for name, workload in workloads.items():
            path = folder / f"{name}-seed{seed}.jsonl"
            files[name] = path
            if path.exists():
                continue
            report = TrafficReport()
            lines = generate(
                chat, seed=seed, start_ms=_START_MS, workload=workload, days=_DAYS, report=report
            )
            unfinished = path.with_suffix(".part")
            with unfinished.open("wb") as file:
                file.writelines(lines)
            report.check()
            unfinished.replace(path)
    return files

"""`python -m include.local_stack.traffic`: writes the sample logs, one file a workload."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from include.local_stack.traffic.chat import HttpChat
from include.local_stack.traffic.errors import TrafficError
from include.local_stack.traffic.generate import DAY_MS, generate
from include.local_stack.traffic.report import TrafficReport
from include.local_stack.traffic.workloads import WORKLOADS, workload_named


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 when every file is written, 2 for an error that names its remedy."""
    options = _parser().parse_args(arguments)
    start_ms = options.start_ms
    if start_ms is None:
        start_ms = int(time.time() * 1000 - options.days * DAY_MS)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        with HttpChat(options.chat_url) as chat:
            for name in options.workload or WORKLOADS:
                _write(chat, name, options, start_ms)
    except (TrafficError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _write(chat: HttpChat, name: str, options: argparse.Namespace, start_ms: int) -> None:
    report = TrafficReport()
    lines = generate(
        chat,
        seed=options.seed,
        start_ms=start_ms,
        workload=workload_named(name),
        conversations=options.conversations,
        days=options.days,
        report=report,
    )
    path: Path = options.out / f"{name}.jsonl"
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        file.writelines(lines)
    unfinished.replace(path)
    report.check()
    print(path)
    print("\n".join(report.describe()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.local_stack.traffic", description=__doc__)
    parser.add_argument("--chat-url", required=True, help="base of an OpenAI endpoint, before /v1")
    parser.add_argument("--out", type=Path, required=True, help="folder of the files")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--workload", action="append", help="one of the samples; repeatable; default all")
    parser.add_argument("--conversations", type=int, help="default: the workload's own number")
    parser.add_argument("--days", type=float, default=14.0, help="days that the traffic covers")
    parser.add_argument("--start-ms", type=int, help="Unix time in ms of the first day; default --days ago")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""Evaluations in the stand-in, through the wire: `scripts/bench stand-in [--evaluations 200 --items 100]`.

A stand-in is started as a process, gets one file of ITEMS tool-calling rows, and EVALUATIONS jobs over it at
once; the time runs from the first job's submission to the last one's end. Memory is the process's resident
set. The rows are the airline's where the shared data is there, else made ones of the same size.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "tests" / "nemo_local"), str(ROOT)]

import psutil
import traffic
from flywheel_client import MODEL, Client, evaluation_config

AIRLINE = ROOT.parent / "shared" / "data" / "airline_logs.jsonl.gz"
WORKLOAD = "airline_tool_calls"
ROW_BYTES = 22_000
JOBS = "/v1/evaluation/jobs"
AIM_SECONDS = 120.0
AIM_EVALUATIONS, AIM_ITEMS = 200, 100
"""200 evaluations of 100 items are due within AIM_SECONDS on two cores."""
_POLL_SECONDS = 0.25


def main() -> int:
    options = _parser().parse_args()
    lines = list(itertools.islice(rows(), options.items))
    size = sum(map(len, lines)) // len(lines)
    source = "airline" if AIRLINE.exists() else "made"
    print(f"{options.evaluations} evaluations of {len(lines)} {source} rows of {size:,} bytes, {MODEL}")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, server(Path(folder)) as (client, process):
        found = measure(client, process, lines, options.evaluations)
    rate = options.evaluations / found["wall_seconds"]
    print(f"wall {found['wall_seconds']:.1f} s  {rate:.2f} evaluations/s  {rate * len(lines):.0f} items/s")
    print(f"processor {found['cpu_seconds']:.1f} s")
    print("  ".join(f"RSS {when} {mib:.0f} MiB" for when, mib in found["rss_mib"].items()))
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=2))
    aim = AIM_SECONDS * options.evaluations * len(lines) / (AIM_EVALUATIONS * AIM_ITEMS)
    return 0 if found["wall_seconds"] <= aim else 1


def rows() -> Iterator[bytes]:
    """Rows of an evaluation file, one line each."""
    for number, record in enumerate(
        _airline() if AIRLINE.exists() else traffic.tool_records(10_000, ROW_BYTES)
    ):
        request, answer = record["request"], record["response"]["choices"][0]["message"]
        calls = [{"function": _call(call["function"])} for call in answer.get("tool_calls") or []]
        row = {
            "item_id": f"{number:016x}",
            "conversation_id": record["session_id"],
            "request": {
                "messages": request["messages"],
                "tools": request["tools"],
                "tool_choice": request.get("tool_choice", "auto"),
            },
            "tool_calls": calls,
        }
        yield json.dumps(row).encode() + b"\n"


def _airline() -> Iterator[dict]:
    with gzip.open(AIRLINE) as file:
        for line in file:
            record = json.loads(line)
            if record["workload_id"] == WORKLOAD:
                yield record


def _call(function: dict) -> dict:
    return {"name": function["name"], "arguments": json.loads(function["arguments"])}


@contextmanager
def server(folder: Path) -> Iterator[tuple[Client, psutil.Process]]:
    """A client of a stand-in process, and that process."""
    command = [sys.executable, "-m", "include.nemo_local", "--port", "0", "--data-dir", str(folder)]
    process = subprocess.Popen(
        [*command, "--deploy-seconds", "0", "--evaluation-seconds", "0"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        with Client(re.search(r"http://\S+", process.stdout.readline())[0]) as client:
            yield client, psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def measure(client: Client, process: psutil.Process, lines: list[bytes], evaluations: int) -> dict:
    """Wall and processor seconds of all evaluations, and memory along the way."""
    client.upload("bench", {"testing/eval.jsonl": b"".join(lines)})
    client.deploy("bench")
    body = {
        "namespace": "flywheel",
        "config": evaluation_config("bench"),
        "target": {"type": "model", "model": MODEL},
    }
    memory = {"at the start": _rss_mib(process)}
    marks = {evaluations // 4: "after a quarter", evaluations: "at the end"}
    spent, started = _cpu_seconds(process), time.monotonic()
    waiting = [client.ok("POST", JOBS, json=body)["id"] for _ in range(evaluations)]
    peak = 0.0
    while waiting:
        waiting = [job for job in waiting if not _completed(client, job)]
        now = _rss_mib(process)
        peak = max(peak, now)
        for mark in [mark for mark in marks if evaluations - len(waiting) >= mark]:
            memory[marks.pop(mark)] = now
        time.sleep(_POLL_SECONDS if waiting else 0)
    wall_seconds = time.monotonic() - started
    memory["at most"] = peak
    return {
        "wall_seconds": wall_seconds,
        "cpu_seconds": _cpu_seconds(process) - spent,
        "rss_mib": memory,
    }


def _completed(client: Client, job: str) -> bool:
    status = client.ok("GET", f"{JOBS}/{job}")["status"]
    if status in ("failed", "cancelled"):
        raise SystemExit(f"{job} {status}")
    return status == "completed"


def _rss_mib(process: psutil.Process) -> float:
    return process.memory_info().rss / 2**20


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench stand-in", description=__doc__)
    parser.add_argument("--evaluations", type=int, default=AIM_EVALUATIONS, metavar="N")
    parser.add_argument("--items", type=int, default=AIM_ITEMS, metavar="N")
    parser.add_argument("--folder", help="scratch folder of the stand-in; default: the system's")
    parser.add_argument("--json", metavar="FILE", help="write the figures here too")
    return parser


if __name__ == "__main__":
    sys.exit(main())

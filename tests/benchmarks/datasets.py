"""Records per CPU-second and peak memory from log store to files: `scripts/bench datasets`.

Over day files of made-up traffic, agent loops of tool calls and single chats: *load* stores lines through
the loader (at most LOADED of them), *read* only reads them back, *gather* is the first pass (read, validate,
spool, deduplicate), *split* draws the sets, and *build* is everything from the store to the files. CPU
seconds are user and system time; peak memory is the whole process's, which starts at about 45 MB.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import traffic

from include.flywheel.datasets.build import build_datasets
from include.flywheel.datasets.gather import gather
from include.flywheel.datasets.spec import DatasetSpec
from include.flywheel.datasets.split import SplitConfig, split
from include.flywheel.datasets.spool import Spool
from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.load import load
from include.flywheel.logs.store import LogQuery

SHAPES = {
    "tool calls 4.3 KB": (traffic.tool_records, 4_300),
    "chat 2 KB": (traffic.chat_records, 2_000),
    "tool calls 22 KB": (traffic.tool_records, 22_000),
}
COUNTS = (10_000, 100_000, 1_000_000)
AIM_RECORDS_PER_CPU_SECOND = 60_000
AIM_PEAK_MB = 300
STEPS = ("load", "read", "gather", "split", "build")
LOADED = 20_000
DISK_FACTOR = 3.2
"""Store, spool and files of a measurement, as a multiple of the records' size."""

CONFIG = SplitConfig(limit=None, eval_size=300)
QUERY = LogQuery(client_id=traffic.CLIENT, workload_id=traffic.WORKLOAD)


def main() -> int:
    options = _parser().parse_args()
    if options.measure:
        print(json.dumps(_STEPS[options.measure](Path(options.folder))))
        return 0
    results = []
    print(_header())
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for shape in options.shapes:
            for count in options.counts:
                result = _measure(shape, count, Path(folder))
                results.append(result)
                print(_line(result), flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps({"machine": _machine(), "results": results}, indent=2))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench datasets", description=__doc__)
    parser.add_argument("--counts", nargs="+", type=int, default=list(COUNTS), metavar="N")
    parser.add_argument("--shapes", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--folder", help="scratch folder on the disk to measure; default: the system's")
    parser.add_argument("--json", metavar="FILE", help="write the figures here too")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    return parser


def _measure(shape: str, count: int, folder: Path) -> dict:
    make, record_bytes = SHAPES[shape]
    result = {"shape": shape, "records": count}
    needed, free = int(count * record_bytes * DISK_FACTOR), shutil.disk_usage(folder).free
    if needed > free:
        return result | {"left_out": f"needs {needed >> 30} GiB of disk, {free >> 30} are free"}
    root = folder / "store"
    written = traffic.write_store(root, make(count, record_bytes))
    try:
        for name in _STEPS:
            result |= _in_a_process(name, folder)
    finally:
        for left in folder.iterdir():
            shutil.rmtree(left)
    return result | {
        "record_bytes": written // count,
        "records_per_cpu_second": round(count / result["build_cpu_seconds"]),
    }


def _in_a_process(name: str, folder: Path) -> dict:
    command = [sys.executable, __file__, "--measure", name, "--folder", str(folder)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def _steps(folder: Path) -> dict:
    """Reading alone, then the first pass (read, validate, spool, deduplicate), then the split."""
    store, found = FileLogStore(folder / "store"), {}

    def step(name: str, work: Callable[[], object]) -> object:
        before = time.process_time()
        done = work()
        found[f"{name}_cpu_seconds"] = time.process_time() - before
        found[f"{name}_peak_mb"] = _peak_mb()
        return done

    step("read", lambda: sum(1 for _ in store.read(QUERY)))
    with Spool(folder / "spool") as spool:
        gathered = step("gather", lambda: gather(store.read(QUERY), spool))
        step("split", lambda: split(gathered.requests, CONFIG, 1))
    return found


def _build(folder: Path) -> dict:
    """Everything, from the store to the files (without examples, whose cost follows the holdout)."""
    before = time.process_time()
    report = build_datasets(
        FileLogStore(folder / "store"),
        QUERY,
        DatasetSpec(split=CONFIG, icl=None),
        lambda name: closing((folder / name).open("wb", buffering=0)),
        folder / "spool",
    )
    seconds = time.process_time() - before
    for file in report.files:
        (folder / file.name).unlink()
    return {"build_cpu_seconds": seconds, "build_peak_mb": _peak_mb()}


def _load(folder: Path) -> dict:
    """Reading and loading the first lines; the time is scaled to all of them."""
    count = sum(1 for _ in FileLogStore(folder / "store").read(QUERY))
    lines = itertools.islice(FileLogStore(folder / "store").read(QUERY), LOADED)
    before = time.process_time()
    ledger = load(lines, FileLogStore(folder / "loaded"), traffic.CLIENT, traffic.WORKLOAD)
    seconds = time.process_time() - before
    return {"load_cpu_seconds": seconds * count / ledger.lines_read, "load_peak_mb": _peak_mb()}


_STEPS = {"load": _load, "steps": _steps, "build": _build}


def _peak_mb() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def _header() -> str:
    steps = "  ".join(f"{name + ' rec/CPU-s':>16} {'MB':>5}" for name in STEPS)
    return f"{'shape':<18} {'records':>9} {'bytes':>7}  {steps}"


def _line(result: dict) -> str:
    head = f"{result['shape']:<18} {result['records']:>9,}"
    if "left_out" in result:
        return f"{head}  left out: {result['left_out']}"
    steps = "  ".join(_step(result, name) for name in STEPS)
    return f"{head} {result['record_bytes']:>7,}  {steps}"


def _step(result: dict, name: str) -> str:
    rate = result["records"] / max(result[f"{name}_cpu_seconds"], 1e-9)
    return f"{rate:>16,.0f} {result[f'{name}_peak_mb']:>5.0f}"


def _machine() -> dict:
    return {"python": platform.python_version(), "processor": platform.processor() or platform.machine()}


if __name__ == "__main__":
    sys.exit(main())

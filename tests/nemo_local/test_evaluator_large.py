"""Large evaluations stream, and many of them end in time: measured on a server process of its own."""

import json
import re
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
import stand_in
from flywheel_client import Client

ROOT = Path(__file__).resolve().parents[2]
JOBS = "/v1/evaluation/jobs"
GROWTH_MIB = 16


@pytest.fixture
def server(tmp_path):
    """A client of a server process, and its peak memory in MiB since the last call, as a function."""
    command = [sys.executable, "-m", "include.nemo_local", "--port", "0", "--data-dir", tmp_path]
    process = subprocess.Popen(
        [*command, "--deploy-seconds", "0.05", "--evaluation-seconds", "0.05"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with Client(re.search(r"http://\S+", process.stdout.readline())[0]) as client:

        def peak_mib():
            folder = Path("/proc") / str(process.pid)
            status = (folder / "status").read_text()
            # Linux takes the 5 for: the peak begins anew.
            (folder / "clear_refs").write_text("5")
            return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024

        yield client, peak_mib
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=10)


def completed(client, body, seconds):
    job = client.ok("POST", JOBS, json=body | {"namespace": "flywheel"})
    ended = client.until(f"{JOBS}/{job['id']}", want=("completed", "failed"), seconds=seconds)
    assert ended["status"] == "completed", ended["status_details"]
    return ended


def data_body(file):
    metrics = {
        "same": {"type": "string-check", "params": {"check": ["{{ reply }}", "equals", "{{ answer }}"]}},
        "rouge": {"type": "rouge", "params": {"ground_truth": "{{ answer }}", "candidate": "{{ reply }}"}},
    }
    config = {"type": "custom", "tasks": {"t": {"type": "data", "metrics": metrics}}}
    dataset = {"files_url": f"hf://datasets/flywheel/large/{file}"}
    return {"config": config, "target": {"type": "dataset", "dataset": dataset}}


def rows(count):
    """Some 4 KB a row, of which a few words are compared."""
    filler = "conversation " * 320
    made = (
        {"n": n, "filler": filler, "answer": f"order {n}", "reply": f"order {n % 7}"} for n in range(count)
    )
    return b"".join(json.dumps(row).encode() + b"\n" for row in made)


@pytest.mark.parametrize("items", [5_000, pytest.param(50_000, marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_items(server, items):
    client, peak_mib = server
    client.upload("large", {"few.jsonl": rows(500), "many.jsonl": rows(items)})
    peak_mib()
    completed(client, data_body("few.jsonl"), seconds=30)
    before = peak_mib()
    job = completed(client, data_body("many.jsonl"), seconds=30 + items / 100)
    growth = peak_mib() - before
    assert growth < GROWTH_MIB
    stats = client.ok("GET", f"{JOBS}/{job['id']}/results")["tasks"]["t"]["metrics"]["same"]["scores"]
    assert stats["string-check"]["stats"]["count"] == items
    assert stats["string-check"]["stats"]["sum"] == 7
    assert len(client.rows(job)) == items


@pytest.mark.parametrize("evaluations", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_evaluations_of_100_items_end_in_time(tmp_path, evaluations):
    """200 of rows of the size of real ones within two minutes, or the same share of it.

    The time is that of the server's processor, which other work on the machine does not change; the two cores
    that it may use are left as a reserve.
    """
    rows = list(islice(stand_in.rows(), 100))
    with stand_in.server(tmp_path) as (client, process):
        found = stand_in.measure(client, process, rows, evaluations)
    assert found["cpu_seconds"] < 120 * evaluations / 200
    memory = found["rss_mib"]
    assert memory["at most"] - memory["after a quarter"] < GROWTH_MIB

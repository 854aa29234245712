"""Damaged lines by the hundred thousand, and a load that is killed: every line is accounted for."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.load import LoadReason, load
from include.flywheel.logs.store import LogQuery

OURS = LogQuery(client_id="acme", workload_id="desk")
LINES = 100_000
LINES_BY_WIRE = 10_000


@pytest.fixture(scope="module")
def mutations():
    path = Path(__file__).resolve().parents[2] / "mutations.py"
    spec = importlib.util.spec_from_file_location("mutations_of_logs", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check(lines, ledger, store):
    ledger.check()
    assert ledger.lines_read == len(lines)
    assert store.count(OURS) == ledger.stored
    assert ledger.stored > len(lines) // 4
    again = load(lines, store, "acme", "desk")
    assert again.stored == 0
    assert again.already_stored == ledger.stored + ledger.already_stored
    assert {reason: tally.count for reason, tally in again.rejected.items()} == {
        reason: tally.count for reason, tally in ledger.rejected.items()
    }


def test_every_damaged_line_is_stored_or_rejected_with_a_reason(tmp_path, mutations):
    lines = list(mutations.mutated_lines(LINES, seed=20240601))
    store = FileLogStore(tmp_path)
    ledger = load(lines, store, "acme", "desk", source="x")
    assert set(ledger.rejected) == set(LoadReason) - {LoadReason.REFUSED}
    check(lines, ledger, store)
    assert all(isinstance(orjson.loads(line), dict) for line in store.read(OURS))


def test_damaged_lines_into_elasticsearch(connect, mutations):
    lines = list(mutations.mutated_lines(LINES_BY_WIRE, seed=20240602))
    store = connect()
    ledger = load(lines, store, "acme", "desk", source="x")
    refused = ledger.rejected[LoadReason.REFUSED]
    assert refused.count > 0
    assert refused.example.startswith("x:")
    assert "failed to parse" in refused.example
    check(lines, ledger, store)


@pytest.mark.parametrize("where", ["files", "elasticsearch"])
def test_a_killed_load_that_is_run_again_stores_what_is_missing(tmp_path, fake, connect, where):
    at_ms = 1_717_200_000_000
    ids = {"client_id": "acme", "workload_id": "desk"}
    lines = [orjson.dumps({"timestamp": at_ms + n * 30_000, **ids, "n": n}) for n in range(6000)]
    content = b"\n".join(lines)
    place = ["--root", str(tmp_path)] if where == "files" else ["--conn", "team_logs"]
    connection = json.dumps({"conn_type": "elasticsearch", "host": fake.url})
    command = [sys.executable, "-m", "include.cli.logs", "load", "-"]
    process = subprocess.Popen(
        [*command, "--client", "acme", "--workload", "desk", *place],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"AIRFLOW_CONN_TEAM_LOGS": connection},
    )
    # The rest never comes: it is killed while it waits for it.
    process.stdin.write(content[: len(content) // 2])
    process.stdin.flush()
    while not (any(tmp_path.glob("dt=*/*")) or fake.documents()):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    process.stdin.close()
    store = FileLogStore(tmp_path) if where == "files" else connect()
    ledger = load(lines, store, "acme", "desk")
    assert 0 < ledger.already_stored < 6000
    assert ledger.stored + ledger.already_stored == 6000
    assert sorted(orjson.loads(line)["n"] for line in store.read(OURS)) == list(range(6000))

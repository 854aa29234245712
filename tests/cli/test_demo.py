"""`scripts/demo`: what it refuses, and how it says that it cannot start."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "include.cli.demo", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, env=os.environ | {"COLUMNS": "400"}
    )


WRONG = [
    (["--logs", "/no/such/file", "--client", "c", "--workload", "w"], "'/no/such/file' is not a file"),
    (["--logs", __file__], "--logs needs --client and --workload"),
    (["--min-quality", "90"], "90 is not between 0 and 1"),
    (["--min-quality", "good"], "invalid"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_wrong_usage_is_2_and_says_what_is_wrong(arguments: list[str], message: str) -> None:
    done = demo(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_one_error_and_nothing_starts(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        done = demo("--exit", "--port", str(port), "--state", str(tmp_path / "state"))
    assert done.returncode == 1
    [error] = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert f"{port} (airflow)" in error
    assert "--free-ports" in error
    assert done.stderr == ""
    assert not list((tmp_path / "state" / "log").iterdir())


def test_a_file_that_is_no_log_is_one_error_before_anything_starts(tmp_path: Path) -> None:
    table = tmp_path / "table.jsonl"
    table.write_text("a,b\n1,2\n")
    state = tmp_path / "state"
    done = demo("--exit", "--state", str(state), "--logs", str(table), "--client", "c", "--workload", "w")
    assert done.returncode == 1
    assert "error: table.jsonl: none of its 2 lines is a JSON object" in done.stdout
    assert done.stderr == ""
    assert not (state / "log" / "postgres.log").exists()

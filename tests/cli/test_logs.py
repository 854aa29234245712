"""`python -m include.cli.logs load`: exit codes, the ledger, one clear error."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys

import pytest

from include.cli.logs import main
from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.store import LogQuery


@pytest.fixture
def logs(tmp_path):
    path = tmp_path / "logs.jsonl"
    records = [{"timestamp": 1_717_200_000 + n, "client_id": "acme", "workload_id": "desk"} for n in range(5)]
    records.append({"timestamp": 1, "client_id": "acme", "workload_id": "other"})
    path.write_text("".join(json.dumps(record) + "\n" for record in records) + "{torn")
    return path


@pytest.fixture
def load(tmp_path):
    def run(*files, client="acme", workload="desk"):
        root = str(tmp_path / "root")
        return main(["load", *map(str, files), "--client", client, "--workload", workload, "--root", root])

    return run


def stored(tmp_path):
    return FileLogStore(tmp_path / "root").count(LogQuery(client_id="acme", workload_id="desk"))


def test_it_prints_the_ledger_and_ends_well(load, logs, capsys, tmp_path):
    assert load(logs) == 0
    out = capsys.readouterr()
    assert [line.split() for line in out.out.splitlines()[1:]] == [
        ["lines", "read", "7"],
        ["stored", "5"],
        ["stored", "already", "0"],
        ["rejected", "2"],
        ["not", "JSON", "1", "e.g.", "logs.jsonl:7"],
        ["other", "workload", "1", "e.g.", "logs.jsonl:6"],
    ]
    assert out.err == ""
    assert stored(tmp_path) == 5


def test_again_is_safe(load, logs, tmp_path):
    assert [load(logs), load(logs, logs)] == [0, 0]
    assert stored(tmp_path) == 5


def test_a_file_that_is_not_json_lines_is_one_error_and_nothing_stored(load, tmp_path, capsys):
    table = tmp_path / "table.csv"
    table.write_text("a,b\n1,2\n")
    assert load(table) == 1
    out = capsys.readouterr()
    assert out.out == ""
    assert out.err.startswith("error: table.csv: none of its 2 lines is a JSON object")
    assert out.err.count("\n") == 1
    assert not (tmp_path / "root").exists()


def test_a_missing_file_is_one_error_and_the_others_are_loaded(load, logs, tmp_path, capsys):
    assert load(tmp_path / "nope", logs) == 1
    assert "nope: cannot be read" in capsys.readouterr().err
    assert stored(tmp_path) == 5


def test_a_truncated_gz_prints_what_was_read_and_fails(load, logs, tmp_path, capsys):
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(logs.read_bytes())[:-20])
    assert load(cut) == 1
    assert "truncated or damaged" in capsys.readouterr().err


def test_a_file_without_a_line_of_the_workload_fails(load, logs, capsys):
    assert load(logs, client="other") == 1
    out = capsys.readouterr()
    assert "other client" in out.out
    assert "check --client and --workload" in out.err


NO_CLIENT = ["load", "x", "--client", "", "--workload", "w", "--root", "r"]


@pytest.mark.parametrize("arguments", [[], ["load"], NO_CLIENT])
def test_wrong_usage_is_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_it_runs_as_a_module(logs, tmp_path):
    command = [sys.executable, "-m", "include.cli.logs", "load", str(logs)]
    ended = subprocess.run(
        [*command, "--client", "acme", "--workload", "desk", "--root", str(tmp_path / "root")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")

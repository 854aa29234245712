"""Workloads are listed, and those of the logs become files, from a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from pymongo.database import Database

from include.cli.workloads import main
from include.flywheel.config.workload import load_workloads
from include.flywheel.logs.files import FileLogStore
from include.flywheel.runs.documents import RunDocument, now
from include.flywheel.runs.repository import RunRepository
from include.stores import runs as stores_runs

T0 = 1_717_200_000_000
Run = Callable[..., str]


def record(workload: str, number: int) -> dict[str, Any]:
    function = {"name": ("track", "refund")[number % 2], "arguments": "{}"}
    tools = [
        {"type": "function", "function": {"name": name, "parameters": {}}} for name in ("track", "refund")
    ]
    answer = {"tool_calls": [{"id": "c", "type": "function", "function": function}]}
    return {
        "timestamp": T0 + number,
        "client_id": "acme",
        "workload_id": workload,
        "request": {"messages": [{"role": "user", "content": f"question {number}"}], "tools": tools},
        "response": {"choices": [{"message": answer}]},
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The workloads' own: `desk` is configured, `new` is not."""
    folder = tmp_path / "workloads"
    folder.mkdir()
    (folder / "desk.yaml").write_text("client_id: acme\nworkload_id: desk\n")
    return folder


@pytest.fixture
def run(
    folder: Path,
    tmp_path: Path,
    mongo_uri: str,
    mongo_database: Database[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """`run("list")`: what the command prints; it must end well."""
    place = urlsplit(mongo_uri)
    runs = {"conn_type": "mongo", "host": place.hostname, "port": place.port, "schema": mongo_database.name}
    logs = {"conn_type": "fs", "extra": {"path": str(tmp_path / "logs")}}
    monkeypatch.setenv("AIRFLOW_CONN_FLYWHEEL_RUNS", json.dumps(runs))
    monkeypatch.setenv("AIRFLOW_CONN_FLYWHEEL_LOGS", json.dumps(logs))
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(folder))
    stores_runs._open.cache_clear()
    FileLogStore(tmp_path / "logs").append(record(name, n) for name in ("desk", "new") for n in range(40))

    def call(*arguments: str) -> str:
        assert main(arguments) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    return call


def test_list_shows_traffic_and_the_last_verdict(run: Run, mongo_database: Database[dict[str, Any]]) -> None:
    names = {"dag_id": "flywheel__acme__desk", "run_id": "r", "client_id": "acme", "workload_id": "desk"}
    document = RunDocument(job_id="a" * 24, **names, decision={"verdict": "REJECTED"}, created_at=now())
    RunRepository(mongo_database).open(document)
    lines = run("list").splitlines()
    [desk] = [line.split() for line in lines if line.startswith("acme / desk ")]
    [new] = [line for line in lines if line.startswith("acme / new ")]
    assert desk[3:] == [
        "flywheel__acme__desk",
        "40",
        "2024-06-01",
        "2024-06-01",
        "100%",
        "pending",
        "REJECTED",
    ]
    assert "not configured" in new
    rows = json.loads(run("list", "--json"))
    assert [row["configured"] for row in rows] == [True, False]
    assert rows[1]["traffic"]["tool_share"] == 1.0


def test_suggest_prints_a_file_and_writes_it_only_when_told(run: Run, folder: Path) -> None:
    printed = yaml.safe_load(run("suggest", "acme", "new", "--profile", "starter"))
    assert (printed["kind"], printed["stratify_by"], printed["profile"]) == (
        "tool_calling",
        "tool",
        "starter",
    )
    assert len(load_workloads(folder)) == 1
    path = Path(run("suggest", "--write").splitlines()[-1])
    assert path.parent == folder
    assert {one.workload_id for one in load_workloads(folder)} == {"desk", "new"}
    assert run("suggest") == "", "all of them are configured by now"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["suggest", "acme", "desk"], "acme / desk is configured already: its DAG is flywheel__acme__desk"),
        (["suggest", "acme", "none"], "no records of client 'acme', workload 'none'"),
        (["suggest", "acme", "new", "--profile", "huge"], "known profiles are"),
        (["suggest", "--conn", "nowhere"], "connection 'nowhere' (log store) is not configured"),
    ],
)
def test_what_cannot_be_done_is_said(
    run: Run, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert callable(run)
    assert main(arguments) == 1
    assert said in capsys.readouterr().err


def test_a_client_without_a_workload_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["suggest", "acme"])
    assert refused.value.code == 2
    assert "CLIENT needs a WORKLOAD" in capsys.readouterr().err


def test_logs_that_are_away_leave_the_configured_ones(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(run)
    monkeypatch.delenv("AIRFLOW_CONN_FLYWHEEL_LOGS")
    assert main(["list"]) == 1
    printed = capsys.readouterr()
    assert "acme / desk" in printed.out
    assert "the records of 'flywheel_logs' cannot be counted: connection" in printed.err

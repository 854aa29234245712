"""`logs stats`, `close`, `template`, and `load` into what a connection names."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
from pathlib import Path

import pytest

from include.cli.logs import main
from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.store import LogQuery

OURS = LogQuery(client_id="acme", workload_id="desk")
T0 = 1_717_200_000_000


def record(at, **fields):
    return {"timestamp": T0 + at, "client_id": "acme", "workload_id": "desk", "n": at} | fields


@pytest.fixture(scope="module")
def fake():
    path = Path(__file__).resolve().parents[1] / "fakes" / "elasticsearch.py"
    spec = importlib.util.spec_from_file_location("fake_elasticsearch_of_commands", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    with module.FakeElasticsearch() as server:
        yield server


@pytest.fixture
def calls(tmp_path):
    path = tmp_path / "calls.jsonl"
    path.write_text("".join(json.dumps(record(n)) + "\n" for n in range(5)) + "{torn\n")
    return path


@pytest.fixture
def elastic(monkeypatch, fake):
    """Connection `flywheel_logs` to an index of its own."""
    fake.cluster.indices.remove("*")
    connection = {"conn_type": "elasticsearch", "host": fake.url, "extra": {"index": "calls"}}
    monkeypatch.setenv("AIRFLOW_CONN_FLYWHEEL_LOGS", json.dumps(connection))
    return fake


WHOSE = ["--client", "acme", "--workload", "desk"]


def test_without_a_store_it_loads_into_the_default_connection(elastic, calls, capsys):
    assert main(["load", str(calls), *WHOSE]) == 0
    assert main(["load", str(calls), *WHOSE]) == 0
    assert len(elastic.documents("calls")) == 5
    assert "stored already" in capsys.readouterr().out


def test_a_connection_is_named(monkeypatch, tmp_path, calls):
    (tmp_path / "root").mkdir()
    extra = {"path": str(tmp_path / "root")}
    monkeypatch.setenv("AIRFLOW_CONN_TEAM_LOGS", json.dumps({"conn_type": "fs", "extra": extra}))
    assert main(["load", str(calls), *WHOSE, "--conn", "team_logs"]) == 0
    assert FileLogStore(tmp_path / "root").count(OURS) == 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "where? say --root DIR or --conn ID; connection 'flywheel_logs' is not configured"),
        (["--conn", "nobody"], "connection 'nobody' (log store) is not configured"),
    ],
)
def test_a_store_that_nobody_named_is_one_error(calls, capsys, arguments, message):
    assert main(["load", str(calls), *WHOSE, *arguments]) == 1
    assert message in capsys.readouterr().err


def test_several_files_have_a_sum(tmp_path, calls, capsys):
    other = tmp_path / "other.jsonl"
    other.write_text(json.dumps(record(77)) + "\n" + json.dumps(record(1)) + "\n{torn\nnull\n")
    assert main(["load", str(calls), str(other), *WHOSE, "--root", str(tmp_path / "root")]) == 0
    total = capsys.readouterr().out.partition("2 files → client acme, workload desk")[2]
    assert [line.split() for line in total.splitlines()[1:]] == [
        ["lines", "read", "10"],
        ["stored", "6"],
        ["stored", "already", "1"],
        ["rejected", "3"],
        ["not", "JSON", "2", "e.g.", "calls.jsonl:6"],
        ["not", "a", "JSON", "object", "1", "e.g.", "other.jsonl:4"],
    ]


def test_strict_fails_when_anything_was_rejected(tmp_path, calls, capsys):
    root = ["--root", str(tmp_path / "root")]
    assert main(["load", str(calls), *WHOSE, *root, "--strict"]) == 1
    assert "1 lines were rejected (--strict)" in capsys.readouterr().err
    calls.write_text(json.dumps(record(1)))
    assert main(["load", str(calls), *WHOSE, *root, "--strict"]) == 0


def test_the_standard_input_is_a_file_too(tmp_path, calls, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(calls.read_bytes()))))
    assert main(["load", "-", *WHOSE, "--root", str(tmp_path / "root")]) == 0
    assert "stdin:6" in capsys.readouterr().out


def test_stats_of_files_and_of_elasticsearch_are_one_table(elastic, tmp_path, calls, capsys):
    root = ["--root", str(tmp_path / "root")]
    calls.write_text("".join(json.dumps(record(n, latency_ms=n * 10)) + "\n" for n in range(101)))
    main(["load", str(calls), *WHOSE, *root])
    main(["load", str(calls), *WHOSE])
    elastic.cluster.indices.indices["calls"].refresh()
    tables = []
    for place in (root, []):
        capsys.readouterr()
        assert main(["stats", "--client", "acme", *place]) == 0
        tables.append(capsys.readouterr().out.splitlines())
    for table in tables:
        assert table[1].split()[:4] == ["day", "client", "workload", "records"]
        assert table[2].split()[:4] == ["2024-06-01", "acme", "desk", "101"]
        assert {"500", "950"} <= set(table[2].split())
    assert "damaged" in tables[0][3]
    assert "models and tool calls are not known" in tables[1][3]


def test_close_says_what_it_closed_and_may_be_repeated(tmp_path, calls, capsys):
    root = ["--root", str(tmp_path / "root")]
    main(["load", str(calls), *WHOSE, *root])
    capsys.readouterr()
    assert main(["close", *root]) == 0
    closed, total = capsys.readouterr().out.splitlines()
    assert closed.startswith("dt=2024-06-01/log.acme.desk.")
    assert total == "1 files closed"
    assert main(["close", *root]) == 0
    assert capsys.readouterr().out == "0 files closed\n"
    assert main(["close", "--before", "2999-01-01", *root]) == 1
    assert "include today" in capsys.readouterr().err


def test_close_and_stats_of_a_folder_that_is_not_there(tmp_path, capsys):
    for command in ("close", "stats"):
        assert main([command, "--root", str(tmp_path / "nope")]) == 1
        assert "nope' is not a folder" in capsys.readouterr().err


def test_elasticsearch_has_nothing_to_close(elastic, capsys):
    assert main(["close"]) == 1
    assert "lifecycle policy" in capsys.readouterr().err


def test_the_template_is_printed_or_installed(elastic, capsys):
    assert main(["template", "--index", "calls-*", "--data-stream"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["index_patterns"] == ["calls-*"]
    assert printed["data_stream"] == {}
    assert main(["template", "--apply"]) == 0
    assert "index template 'flywheel-calls' is installed" in capsys.readouterr().out
    installed = elastic.cluster.indices.templates["flywheel-calls"]
    assert installed["index_patterns"] == ["calls"]
    del printed["template"]["mappings"]["properties"]["@timestamp"]
    assert installed["template"] == printed["template"]


def test_files_need_no_template(monkeypatch, tmp_path, capsys):
    extra = {"path": str(tmp_path)}
    monkeypatch.setenv("AIRFLOW_CONN_FLYWHEEL_LOGS", json.dumps({"conn_type": "fs", "extra": extra}))
    assert main(["template", "--apply"]) == 1
    assert "needs no index template" in capsys.readouterr().err

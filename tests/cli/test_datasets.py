"""The preview: the data card and a few rows, without a run."""

from __future__ import annotations

import json

import pytest

from include.cli.datasets import main
from include.flywheel.datasets.report import DatasetReport
from include.flywheel.logs.files import FileLogStore
from include.local_stack.traffic.help_centre import help_centre


@pytest.fixture
def root(tmp_path):
    store = FileLogStore(tmp_path / "logs")
    tools = [{"type": "function", "function": {"name": name}} for name in ("track", "refund")]
    for number in range(60):
        name = ("track", "refund")[number % 3 == 0]
        call = {"id": "c", "type": "function", "function": {"name": name, "arguments": f'{{"n": {number}}}'}}
        record = {
            "timestamp": 1_767_225_600_000 + number,
            "client_id": "acme",
            "workload_id": "desk",
            "session_id": f"s{number // 3}",
            "request": {"messages": [{"role": "user", "content": f"question {number}"}], "tools": tools},
            "response": {
                "choices": [{"message": {"role": "assistant", "content": None, "tool_calls": [call]}}]
            },
        }
        store.append([record])
    return tmp_path / "logs"


def preview(root, *options):
    return main(["preview", "--client", "acme", "--workload", "desk", "--root", str(root), *options])


SPLIT = ("--split", "eval_size=9", "min_total_records=20", "limit=null")


def test_the_card_and_rows_of_each_set(root, capsys):
    assert preview(root, *SPLIT, "--examples", "1") == 0
    shown = capsys.readouterr().out
    assert "kind           tool calling (100.0 % of 60 valid records call a tool)" in shown
    assert "conversations  20: 20 by session_id. The largest has 3 records" in shown
    assert "requests and conversations in common: eval/val 0 and 0" in shown
    for name, records in (("train", 48), ("val", 3), ("eval", 9), ("icl", 9)):
        assert f"\n{name}" in shown
        assert f".jsonl, 1 of {records} rows\n" in shown
    assert shown.count("user      question") >= 3
    assert '→ track({"n": ' in shown or '→ refund({"n": ' in shown


def test_the_card_as_json(root, capsys):
    assert preview(root, *SPLIT, "--json", "--strategy", "temporal", "--seed", "5") == 0
    report = DatasetReport.model_validate_json(capsys.readouterr().out)
    assert (report.strategy, report.seed, report.eval.records) == ("temporal", 5, 9)


def test_the_files_are_kept_on_request(root, tmp_path, capsys):
    assert preview(root, *SPLIT, "--keep", str(tmp_path / "kept"), "--json") == 0
    report = DatasetReport.model_validate_json(capsys.readouterr().out)
    for file in report.files:
        assert (tmp_path / "kept" / file.name).stat().st_size == file.bytes


def test_too_few_records_end_with_one_line(root, capsys):
    assert preview(root, "--split", "eval_size=100", "min_total_records=1") == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "eval_size 100 leaves no conversation for training" in line


def test_an_unknown_key_of_the_split_is_named(root, capsys):
    assert preview(root, "--split", "evalsize=3") == 1
    assert "`evalsize` = 3: unknown key" in capsys.readouterr().err


def test_a_split_that_is_no_key_and_value_is_wrong_usage(root, capsys):
    with pytest.raises(SystemExit) as ended:
        preview(root, "--split", "300")
    assert ended.value.code == 2
    assert "'300' is not KEY=VALUE" in capsys.readouterr().err


def test_the_store_of_the_workloads_connection(root, capsys, monkeypatch):
    connection = {"conn_type": "fs", "extra": {"path": str(root)}}
    monkeypatch.setenv("AIRFLOW_CONN_FLYWHEEL_LOGS", json.dumps(connection))
    assert main(["preview", "--client", "acme", "--workload", "desk", *SPLIT, "--json"]) == 0
    assert DatasetReport.model_validate_json(capsys.readouterr().out).ledger.records_read == 60


def test_an_empty_workload_names_what_there_is(root, capsys):
    assert main(["preview", "--client", "acme", "--workload", "dsk", "--root", str(root)]) == 1
    assert "acme/desk (60)" in capsys.readouterr().err


def test_the_card_and_rows_of_an_embedding_job(tmp_path, capsys):
    records = help_centre(client_id="acme", workload_id="desk", seed=1, questions=90, start_ms=10**12)
    FileLogStore(tmp_path).append(records)
    options = ("--job-type", "embedding_job", "--split", "eval_size=20", "min_total_records=20")
    assert preview(tmp_path, *options, "--examples", "1", "--config", "embedding") == 0
    shown = capsys.readouterr().out
    assert "kind           retrieval (an embedding job reads" in shown
    assert "documents      20, 20 of them searched by the evaluation" in shown
    for name in ("train", "val", "eval", "corpus", "queries"):
        assert f"\n{name}.jsonl, 1 of " in shown
    assert "\n  pos_doc          " in shown

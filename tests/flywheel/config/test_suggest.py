"""The file suggested for a workload that the logs alone know: it loads, and says what the records say."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from include.flywheel.config.suggest import NOT_DESCRIBED, Suggestion, suggest, write
from include.flywheel.config.workload import Workload, load_workloads
from include.flywheel.errors import ConfigError, DataError, NoRecords
from include.flywheel.logs.files import FileLogStore
from include.pipeline.factory import flywheel_dags

T0 = 1_717_200_000_000
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in ("track", "refund")]


def record(number: int, answer: dict[str, Any], **more: Any) -> dict[str, Any]:
    request: dict[str, Any] = {"messages": [{"role": "user", "content": f"question {number}"}]}
    if "tool_calls" in answer:
        request["tools"] = TOOLS
    fields = {"timestamp": T0 + number * 60_000, "client_id": "sky line", "workload_id": "seats"}
    return {**fields, "request": request, "response": {"choices": [{"message": answer}]}, **more}


def call(tool: str) -> dict[str, Any]:
    return {"tool_calls": [{"id": "c", "type": "function", "function": {"name": tool, "arguments": "{}"}}]}


def suggested(folder: Path, records: Iterable[dict[str, Any]], **options: Any) -> Suggestion:
    store = FileLogStore(folder / "logs")
    store.append(records)
    return suggest(store, "sky line", "seats", folder, logs_conn_id="flywheel_logs", **options)


def chosen(workload: Workload) -> tuple[str | None, str | None, str, str]:
    kind = workload.kind.value if workload.kind else None
    return kind, workload.stratify_by, workload.split.strategy.value, workload.profile


def test_the_written_file_loads_and_is_a_dag_without_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suggestion = suggested(tmp_path, [record(n, call("track" if n % 2 else "refund")) for n in range(60)])
    folder = tmp_path / "workloads"
    folder.mkdir()
    path = write(suggestion, folder)
    assert path.name == suggestion.workload.dag_id.removeprefix("flywheel__") + ".yaml"
    assert path.read_text().startswith("# Suggested by the newest 60 of 60 records; 60 are usable.\n")
    [loaded] = load_workloads(folder)
    assert loaded == suggestion.workload
    assert loaded.description == NOT_DESCRIBED
    monkeypatch.setenv("FLYWHEEL_WORKLOADS", str(folder))
    assert loaded.dag_id in flywheel_dags()
    assert [one.name for one in folder.iterdir()] == [path.name]


def test_a_file_is_never_written_over_and_no_dag_id_taken_twice(tmp_path: Path) -> None:
    suggestion = suggested(tmp_path, [record(n, call("track")) for n in range(9)])
    write(suggestion, tmp_path)
    before = (tmp_path / suggestion.file_name).read_text()
    with pytest.raises(ConfigError, match="stands in another file already"):
        write(suggestion, tmp_path)
    (tmp_path / suggestion.file_name).write_text("client_id: a\nworkload_id: b\n")
    with pytest.raises(ConfigError, match="is there already: change it, or remove it first"):
        write(suggestion, tmp_path)
    assert (tmp_path / suggestion.file_name).read_text() != before
    with pytest.raises(ConfigError, match="cannot be written"):
        write(suggestion, tmp_path / "nowhere")


def labelled(names: list[str]) -> list[dict[str, Any]]:
    return [record(n, {"content": name}) for n, name in enumerate(names)]


FOUND = [
    ("tools", [record(n, call("track" if n % 2 else "refund")) for n in range(60)],
     ("tool_calling", "tool", "stratified", "laptop-small")),
    ("labels", labelled(["yes" if n % 3 else "no" for n in range(60)]),
     ("classification", "label", "stratified", "laptop-small")),
    ("texts", [record(n, {"content": f"A long answer to that question.\nNumber {n}."}) for n in range(40)],
     ("chat", None, "stratified", "laptop-small")),
    ("intents", [record(n, {"content": f"A text.\nNumber {n}."}, description="ab"[n % 2]) for n in range(40)],
     ("chat", "intent", "stratified", "laptop-small")),
    ("drift", labelled(["old" if n < 80 else "new" for n in range(100)]),
     ("classification", "label", "temporal", "laptop-small")),
    ("much", [record(n, call("track" if n % 2 else "refund")) for n in range(1250)],
     ("tool_calling", "tool", "stratified", "laptop")),
]  # fmt: skip


@pytest.mark.parametrize(("records", "says"), [one[1:] for one in FOUND], ids=[one[0] for one in FOUND])
def test_kind_split_and_profile_are_found_by_the_records(
    tmp_path: Path, records: list[dict[str, Any]], says: tuple[str, str | None, str, str]
) -> None:
    suggestion = suggested(tmp_path, records)
    assert chosen(suggestion.workload) == says
    missing = "refuses a run below 120 usable records"
    assert any(missing in line for line in suggestion.because) == (len(records) < 120)


def test_queries_and_documents_become_a_workload_of_the_embedding_profile(tmp_path: Path) -> None:
    documents = [{"id": n, "text": f"Page {n}.", "used": n == 0} for n in range(2)]
    records = [
        record(n, {}, request={"input": f"question {n}"}, response={"documents": documents}) for n in range(9)
    ]
    suggestion = suggested(tmp_path, records)
    workload = suggestion.workload
    assert (workload.profile, workload.kind, workload.stratify_by) == ("embedding", None, None)
    assert workload.job_type == "embedding_job"
    assert "9 different queries are usable" in suggestion.text()


def test_a_profile_that_is_asked_for_is_taken(tmp_path: Path) -> None:
    records = [record(n, call("track")) for n in range(9)]
    assert suggested(tmp_path, records, profile="starter").workload.profile == "starter"
    with pytest.raises(ConfigError, match="known profiles are"):
        suggested(tmp_path, [], profile="none")


def test_what_says_nothing_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(NoRecords, match="`list` shows what the logs hold"):
        suggested(tmp_path, [])
    with pytest.raises(DataError, match=r"none of the records can be used.*2 invalid"):
        suggested(tmp_path, [record(n, {"content": ""}) for n in range(2)])

"""One call is one document, whoever carried it to the store: loader, logging client, or exporter."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from include.cli import logs
from include.flywheel.logs.elastic.codec import HitsSerializer
from include.flywheel.logs.elastic.store import ElasticLogStore
from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.store import LogQuery, LogStore
from include.instrument import ElasticsearchSink, FileSink, Recorder, Sink

TESTS = Path(__file__).resolve().parents[1]
IDS = {"client_id": "acme shop/é", "workload_id": "support agent"}
TIMESTAMP_MS = 1_767_600_000_123
# What a way may add. Data streams demand it, and Elasticsearch does not index it otherwise.
MAY_ADD = {"loader": set(), "client": set(), "exporter": {"@timestamp"}}
ARGUMENTS = '{"order_id": "SO-1", "price": 1.50, "note": "\\u00fc \\"x\\""}'
REQUEST = {
    "model": "big-model",
    "temperature": 0.0,
    "seed": 12345678901234567,
    "messages": [
        {"role": "system", "content": "Line one\nline two \u2028 \U0001f600"},
        {"role": "user", "content": "Where is order SO-1?"},
    ],
    "tools": [{"type": "function", "function": {"name": "get_order", "parameters": {"required": []}}}],
    "x.dotted": {"a.b": None},
}
CALL = {"id": "c-1", "type": "function", "function": {"name": "get_order", "arguments": ARGUMENTS}}
RESPONSE = {
    "id": "r-1",
    "choices": [
        {
            "message": {"role": "assistant", "content": None, "tool_calls": [CALL]},
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {"prompt_tokens": 40, "completion_tokens": 7},
}
DOCUMENT = {
    "timestamp": TIMESTAMP_MS,
    **IDS,
    "request": REQUEST,
    "response": RESPONSE,
    "session_id": "s-1",
    "trace_id": "t-1",
    "description": "an order's state",
    "latency_ms": 812.5,
    "tokens_in": 40,
    "tokens_out": 7,
}


def module_of(path: Path) -> ModuleType:
    """A module of the tests by its path; the stand-in is called like the client library."""
    name = f"same_document_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


shipping = module_of(TESTS / "exporters" / "shipping.py")


@pytest.fixture
def server(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Any]:
    one = shipping.Store(tmp_path, free_port())
    one.start()
    yield one
    one.stop()


def elastic(url: str) -> ElasticLogStore:
    """The index of log records, mapped as its template says; made only with the template in place."""
    store = ElasticLogStore(Elasticsearch(url, serializers={"application/json": HitsSerializer()}))
    store.install_template()
    return store


def only_document(store: LogStore) -> dict[str, Any]:
    """What the store reads, which must be one document."""
    [line] = list(store.read(LogQuery(**IDS)))
    document: dict[str, Any] = json.loads(line)
    return document


def refreshed(store: LogStore, server: Any) -> dict[str, Any]:
    server.ask("POST", "/flywheel/_refresh")
    return only_document(store)


def assert_same(found: dict[str, Any], way: str) -> None:
    """Field by field: nothing is missing or changed, and nothing is added but what the way may add."""
    assert set(found) - set(DOCUMENT) <= MAY_ADD[way]
    for name, value in DOCUMENT.items():
        assert json.dumps(found.get(name)) == json.dumps(value), f"{way}: {name}"


def load(tmp_path: Path, *where: str) -> None:
    source = tmp_path / "calls.jsonl"
    source.write_text(json.dumps(DOCUMENT) + "\n")
    ids = ["--client", IDS["client_id"], "--workload", IDS["workload_id"]]
    assert logs.main(["load", str(source), *ids, *where]) == 0


def record(sink: Sink) -> None:
    """The call by the logging client, which knows the rest from the application."""
    recorder = Recorder(sink, **IDS)
    with recorder.tags(session_id="s-1", trace_id="t-1", description="an order's state"):
        recorder.record(
            request=REQUEST, response=RESPONSE, timestamp_ms=TIMESTAMP_MS, latency_ms=DOCUMENT["latency_ms"]
        )
    recorder.close()
    assert recorder.stats().written == 1


def test_loaded_into_files(tmp_path: Path) -> None:
    load(tmp_path, "--root", str(tmp_path / "store"))
    assert_same(only_document(FileLogStore(tmp_path / "store")), "loader")


def test_loaded_into_elasticsearch(tmp_path: Path, server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store = elastic(server.url)
    connection = {"conn_type": "elasticsearch", "host": "127.0.0.1", "port": int(server.url.split(":")[-1])}
    monkeypatch.setenv("AIRFLOW_CONN_THE_LOGS", json.dumps({**connection, "schema": "http"}))
    load(tmp_path, "--conn", "the_logs")
    assert_same(refreshed(store, server), "loader")


def test_recorded_into_files(tmp_path: Path) -> None:
    record(FileSink(tmp_path))
    assert_same(only_document(FileLogStore(tmp_path)), "client")


def test_recorded_into_elasticsearch(server: Any) -> None:
    store = elastic(server.url)
    record(ElasticsearchSink(server.url))
    assert_same(refreshed(store, server), "client")


@pytest.mark.parametrize("written_by", ["the application", "the logging client"])
def test_shipped_by_rsyslog(written_by: str, tmp_path: Path, server: Any) -> None:
    program = shipping.need_rsyslog()
    (tmp_path / "shipper").mkdir()
    rsyslog = shipping.Rsyslog(program, tmp_path / "shipper", server.url)
    store = elastic(server.url)
    if written_by == "the application":
        rsyslog.write("calls.jsonl", json.dumps(DOCUMENT).encode() + b"\n")
    else:
        record(FileSink(tmp_path / "client"))
        [file] = (tmp_path / "client").rglob("*.jsonl")
        rsyslog.write("calls.jsonl", file.read_bytes())
    rsyslog.start()
    try:
        shipping.wait_until(lambda: len(server.records()) == 1, rsyslog.output)
    finally:
        rsyslog.kill()
    assert_same(only_document(store), "exporter")

"""Statistics over files: figures by day, and what cannot be counted is said."""

from __future__ import annotations

import gzip

import orjson
import pytest

from include.flywheel.logs.files import FileLogStore

DAY = 86_400_000
T0 = 1_717_200_000_000


def record(n, **fields):
    return {"timestamp": T0 + n, "client_id": "acme", "workload_id": "desk", "n": n} | fields


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "dt=2024-06-01"
    folder.mkdir()
    return folder


def test_each_day_has_its_figures(tmp_path):
    documents = [
        record(
            n,
            latency_ms=n,
            request={"model": "asked"},
            response={
                "choices": [{"message": {"tool_calls": [{"id": "c"}] if n % 4 == 0 else []}}],
                "model": "answered" if n % 2 else None,
                "usage": {"prompt_tokens": 7, "completion_tokens": 2},
            },
            error={"code": 500} if n % 10 == 0 else None,
        )
        for n in range(101)
    ]
    store = FileLogStore(tmp_path)
    store.append([*documents, record(DAY), record(1, workload_id="other")])
    first, other, second = store.statistics().days
    assert (first.day, first.records, first.errors) == ("2024-06-01", 101, 11)
    assert first.bytes == sum(len(orjson.dumps(one)) for one in documents)
    assert (first.latency_p50_ms, first.latency_p95_ms) == (50, 95)
    assert (first.tokens_in, first.tokens_out) == (707, 202)
    assert first.models == {"asked": 51, "answered": 50}
    assert (first.tool_calls, other.tool_calls) == (26, 0)
    assert (other.workload_id, second.day, second.latency_p50_ms, second.models) == (
        "other",
        "2024-06-02",
        None,
        {},
    )
    assert store.statistics("acme", "desk").days == [first, second]
    assert store.statistics("nobody").days == []


def test_damaged_lines_are_not_counted_and_hide_nothing(tmp_path, folder):
    lines = [
        orjson.dumps(record(1, latency_ms="slow", tokens_in=[1])),
        b"{torn",
        b"\xff\xfe\x00",
        b'["acme"]',
        b"",
        b"null",
        orjson.dumps(record(2, timestamp="never")),
        orjson.dumps(record(3, client_id=None)),
        orjson.dumps(record(4, timestamp=10**18)),
        orjson.dumps(record(5, timestamp=T0 // 1000)),
        b'{"timestamp":17',
    ]
    (folder / "x.jsonl").write_bytes(b"\n".join(lines))
    statistics = FileLogStore(tmp_path).statistics()
    assert [(one.day, one.records) for one in statistics.days] == [("2024-06-01", 2)]
    assert "damaged" in statistics.notes[0]


def test_a_truncated_gz_is_left_out_and_named(tmp_path, folder):
    content = b"\n".join(orjson.dumps(record(n, text=f"{n * 7919 % 1009}")) for n in range(2000))
    (folder / "whole.jsonl.gz").write_bytes(gzip.compress(content))
    (folder / "cut.jsonl.gz").write_bytes(gzip.compress(content)[:-200])
    (folder / "plain.jsonl.gz").write_bytes(content)
    statistics = FileLogStore(tmp_path).statistics()
    assert [one.records for one in statistics.days] == [2000]
    assert "dt=2024-06-01/cut.jsonl.gz, dt=2024-06-01/plain.jsonl.gz" in statistics.notes[1]


def test_an_empty_store_has_no_days(tmp_path, folder):
    (folder / "empty.jsonl").touch()
    assert FileLogStore(tmp_path).statistics().days == []


def test_names_of_files_and_ids_are_no_sql(tmp_path, folder):
    (folder / "it's; *[a].jsonl").write_bytes(orjson.dumps(record(1, client_id="it's' OR 1=1 --")) + b"\n")
    store = FileLogStore(tmp_path)
    assert [one.records for one in store.statistics("it's' OR 1=1 --").days] == [1]
    assert store.statistics("x' OR '1'='1").days == []

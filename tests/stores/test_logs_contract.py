"""What every log store holds to: files, Elasticsearch over the wire, and a real one where ES_URL names it.

Each is opened from a connection, as the pipeline does it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import orjson
import pytest
from elasticsearch import Elasticsearch

from include.flywheel.errors import DataError
from include.flywheel.logs.store import LogQuery, LogStore, WorkloadSummary
from include.stores.logs import open_logs

DAY = 86_400_000
T0 = 1_717_200_000_000  # 2024-06-01 00:00:00 UTC
OURS = LogQuery(client_id="acme", workload_id="desk")
ODD_IDS = [
    ("two words", " leading and trailing "),
    ('quote " and \\', "it's"),
    ("überschall ✈ 日本", "e\u0301 and é"),
    ("é and e\u0301", "e\u0301 and é"),
    ("a/b", "c"),
    ("a", "b/c"),
    ("*", "acme*"),
    ("acme", "*"),
    ("ACME", "desk"),
    ("acme", "DESK"),
    ("x" * 200, "y" * 200),
    ("x" * 200, "y" * 199),
    ("AND OR NOT", "client_id:acme"),
    ("{}", "[1 TO 2]"),
]


def record(at: int, **fields: Any) -> dict[str, Any]:
    return {"timestamp": T0 + at, "client_id": "acme", "workload_id": "desk", "n": at} | fields


def numbers(lines: Any) -> list[int]:
    return [orjson.loads(line)["n"] for line in lines]


@pytest.fixture(scope="module")
def fake_url() -> Iterator[str]:
    path = Path(__file__).resolve().parents[1] / "fakes" / "elasticsearch.py"
    spec = importlib.util.spec_from_file_location("fake_elasticsearch_of_contract", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    with module.FakeElasticsearch() as server:
        yield server.url


@pytest.fixture(params=["files", "elasticsearch", "elasticsearch in slices", "ES_URL"])
def store(
    request: pytest.FixtureRequest, connection: Callable[..., None], tmp_path: Path, fake_url: str
) -> Iterator[LogStore]:
    if request.param == "files":
        connection("team_logs", conn_type="fs", extra={"path": str(tmp_path)})
        yield open_logs("team_logs")
        return
    url = os.environ.get("ES_URL") if request.param == "ES_URL" else fake_url
    if url is None:
        pytest.skip("ES_URL names no Elasticsearch")
    address, index = urlsplit(url), f"flywheel-test-{uuid4().hex[:12]}"
    extra: dict[str, Any] = {"index": index} | ({"slices": 3} if "slices" in request.param else {})
    connection(
        "team_logs",
        conn_type="elasticsearch",
        host=f"{address.scheme}://{address.hostname}:{address.port or 9200}",
        login=address.username,
        password=address.password,
        extra=extra,
    )
    opened = open_logs("team_logs")
    yield opened
    Elasticsearch(url).options(ignore_status=404).indices.delete(index=index)


def test_what_is_appended_is_read_as_it_was(store: LogStore) -> None:
    documents = [
        record(n, request={"messages": [{"content": 'ü ✈ \u2028 \\ " \n'}]}, x=[1.5, None]) for n in range(3)
    ]
    report = store.append(documents)
    assert (report.stored, report.already_stored) == (3, 0)
    lines = list(store.read(OURS))
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
    assert sorted((json.loads(line) for line in lines), key=lambda one: one["n"]) == documents


def test_a_time_in_seconds_is_stored_in_milliseconds(store: LogStore) -> None:
    store.append([record(0, timestamp=T0 // 1000 + 0.25)])
    assert [json.loads(line)["timestamp"] for line in store.read(OURS)] == [T0 + 250]


def test_the_same_record_is_stored_once(store: LogStore) -> None:
    store.append([record(1), record(2)])
    report = store.append([record(2), record(3), record(3), record(1, other=True)])
    assert (report.stored, report.already_stored) == (2, 2)
    assert sorted(numbers(store.read(OURS))) == [1, 1, 2, 3]
    assert store.append([]).stored == 0


def test_the_window_includes_its_start_and_not_its_end(store: LogStore) -> None:
    store.append([record(n) for n in (0, 10, 20, DAY - 1, DAY, 2 * DAY)])

    def within(since: int | None, until: int | None) -> list[int]:
        edges = {
            "since_ms": None if since is None else T0 + since,
            "until_ms": None if until is None else T0 + until,
        }
        query = LogQuery(client_id="acme", workload_id="desk", **edges)
        found = sorted(numbers(store.read(query)))
        assert store.count(query) == len(found)
        return found

    assert within(10, DAY) == [10, 20, DAY - 1]
    assert within(None, 10) == [0]
    assert within(DAY, None) == [DAY, 2 * DAY]
    assert within(11, 11) == []


def test_a_limit_takes_the_newest(store: LogStore) -> None:
    store.append([record(n) for n in (5, 1, 9, 3, 7, DAY + 2, 2)])
    reading = store.read(LogQuery(client_id="acme", workload_id="desk", limit=3))
    assert sorted(numbers(reading)) == [7, 9, DAY + 2]
    assert reading.in_store == 7
    assert store.count(LogQuery(client_id="acme", workload_id="desk", limit=3)) == 7


def test_of_equally_old_records_a_limit_takes_the_last_stored(store: LogStore) -> None:
    for n in range(6):
        store.append([record(0, n=n)])
    store.append([record(-5, n=9), record(8, n=8)])
    reading = store.read(LogQuery(client_id="acme", workload_id="desk", limit=3))
    assert sorted(numbers(reading)) == [4, 5, 8]


@pytest.mark.parametrize("limit", [1, 250, 1500, 1501])
def test_limits_over_many_pages_with_ties(store: LogStore, limit: int) -> None:
    store.append([record(n // 7, n=n) for n in range(1500)])
    reading = store.read(LogQuery(client_id="acme", workload_id="desk", limit=limit))
    assert sorted(numbers(reading)) == list(range(max(0, 1500 - limit), 1500))
    assert reading.in_store == 1500


def test_ids_of_any_characters_are_told_apart(store: LogStore) -> None:
    pairs = [*ODD_IDS, ("acme", "desk")]
    store.append(
        [record(n, client_id=client, workload_id=workload) for n, (client, workload) in enumerate(pairs)]
    )
    for n, (client, workload) in enumerate(pairs):
        query = LogQuery(client_id=client, workload_id=workload)
        assert numbers(store.read(query)) == [n], (client, workload)
        assert store.count(query) == 1
    found = {(one.client_id, one.workload_id): one.records for one in store.describe().workloads}
    assert found == dict.fromkeys(pairs, 1)


def test_what_is_appended_while_reading_does_not_appear(store: LogStore) -> None:
    store.append([record(n) for n in range(1200)])
    reading = store.read(OURS)
    seen = []
    for line in reading:
        if not seen:
            writer = threading.Thread(target=store.append, args=([record(n) for n in range(1200, 1300)],))
            writer.start()
            writer.join()
        seen.append(orjson.loads(line)["n"])
    assert sorted(seen) == list(range(1200))
    assert reading.in_store == 1200
    assert store.count(OURS) == 1300


def test_big_records_are_read_whole(store: LogStore) -> None:
    texts = [f"{n}" * 60_000 for n in range(10)]
    store.append([record(n, text=texts[n % 10]) for n in range(300)])
    found = {one["n"]: one["text"] for one in map(orjson.loads, store.read(OURS))}
    assert found == {n: texts[n % 10] for n in range(300)}


def test_where_names_a_place_for_each_record(store: LogStore) -> None:
    store.append([record(1), record(2)])
    reading = store.read(OURS)
    places = [reading.where() for _ in reading]
    assert len(set(places)) == 2
    assert all("/" in place for place in places)


def test_a_reading_that_is_left_early_does_no_harm(store: LogStore) -> None:
    store.append([record(n) for n in range(2500)])
    iterator = iter(store.read(OURS))
    next(iterator)
    iterator.close()  # type: ignore[attr-defined]
    assert store.count(OURS) == 2500


def test_describe_and_statistics_say_what_there_is(store: LogStore) -> None:
    store.append([record(n, latency_ms=n, tokens_in=10, tokens_out=3) for n in range(101)])
    store.append([record(DAY, workload_id="other")])
    summary = store.describe()
    assert summary.workloads == [
        WorkloadSummary(client_id="acme", workload_id="desk", records=101, first_ms=T0, last_ms=T0 + 100),
        WorkloadSummary(
            client_id="acme", workload_id="other", records=1, first_ms=T0 + DAY, last_ms=T0 + DAY
        ),
    ]
    assert summary.unreadable == 0
    first, second = store.statistics().days
    assert (first.day, first.workload_id, first.records) == ("2024-06-01", "desk", 101)
    assert first.latency_p50_ms == pytest.approx(50, abs=1)
    assert first.latency_p95_ms == pytest.approx(95, abs=1)
    assert (first.tokens_in, first.tokens_out) == (1010, 303)
    assert (first.first_ms, first.last_ms, second.first_ms) == (T0, T0 + 100, T0 + DAY)
    assert (second.day, second.records, second.tokens_in) == ("2024-06-02", 1, None)
    assert store.statistics("acme", "other").days == [second]


def test_an_empty_store_is_empty(store: LogStore) -> None:
    store.append([record(1, client_id="somebody else")])
    reading = store.read(OURS)
    assert (list(reading), reading.in_store, reading.where()) == ([], 0, "nowhere yet")
    assert list(store.read(LogQuery(client_id="acme", workload_id="desk", limit=5))) == []
    assert store.count(OURS) == 0
    assert store.statistics("acme").days == []


@pytest.mark.parametrize("missing", ["timestamp", "client_id", "workload_id"])
def test_a_record_without_ids_or_time_is_refused_before_anything_is_stored(
    store: LogStore, missing: str
) -> None:
    store.append([record(0)])
    broken = record(2)
    del broken[missing]
    with pytest.raises(DataError, match="needs `timestamp`"):
        store.append([record(1), broken])
    assert numbers(store.read(OURS)) == [0]

"""Reading Elasticsearch when the wire or the cluster fails: whole or an error, never short."""

from __future__ import annotations

import heapq
import json
import threading
import time
from itertools import pairwise

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.flywheel.errors import DataError
from include.flywheel.logs.elastic.side_by_side import side_by_side
from include.flywheel.logs.store import LogQuery

T0 = 1_717_200_000_000
OURS = LogQuery(client_id="acme", workload_id="desk")
NEWEST = LogQuery(client_id="acme", workload_id="desk", limit=700)


def record(at, **fields):
    return {"timestamp": T0 + at, "client_id": "acme", "workload_id": "desk", "n": at} | fields


def numbers(lines):
    return [orjson.loads(line)["n"] for line in lines]


def put(fake, index, documents):
    """Documents as another program writes them."""
    for number, document in enumerate(documents):
        source = document if isinstance(document, bytes) else orjson.dumps(document)
        fake.cluster.indices.to_write(index, "create").create(f"other-{number}", source)
    for one in fake.cluster.indices.indices.values():
        one.refresh()


@pytest.fixture
def store(connect):
    store = connect()
    store.append([record(n) for n in range(1500)])
    # Other clients find them from now on.
    assert store.count(OURS) == 1500
    return store


PASSING = [
    {"status": 503},
    {"status": 429},
    {"status": 502, "times": 2},
    {"reset": True},
    {"cut": True},
    {"cut": True, "after": 2},
    {"reset": True, "after": 1, "times": 3},
]


@pytest.mark.parametrize("fault", PASSING, ids=str)
@pytest.mark.parametrize("query", [OURS, NEWEST], ids=["all", "newest"])
def test_a_fault_that_passes_changes_nothing(fake, store, fault, query):
    fake.faults.add(path="_search", **fault)
    found = numbers(store.read(query))
    assert sorted(found) == list(range(1500 - (query.limit or 1500), 1500))
    assert fake.open_points == 0


LASTING = [
    ({"status": 503}, "503 unavailable_exception: injected; the cluster is overloaded or not whole"),
    ({"reset": True}, "reading failed, the connection broke"),
    ({"patch": {"timed_out": True}}, "only a part was searched"),
    ({"patch": {"_shards": {"total": 3, "failed": 1}}}, r"1 of 3 shards failed"),
    ({"status": 403, "kind": "security_exception"}, "privileges `read` and `view_index_metadata`"),
    ({"patch": {"hits": {"hits": []}}, "after": 1}, "1500 documents counted, 0 read"),
]


@pytest.mark.parametrize("slices", [1, 3])
@pytest.mark.parametrize(("fault", "message"), LASTING, ids=[str(fault) for fault, _ in LASTING])
def test_a_fault_that_lasts_is_an_error_and_closes_the_snapshot(fake, connect, store, fault, message, slices):
    fake.faults.add(path="_search", times=-1, **fault)
    with pytest.raises(DataError, match=message):
        list(connect(slices=slices).read(OURS))
    assert fake.open_points == 0


@pytest.mark.parametrize("after", [1, 2])
def test_shards_that_fail_half_way_are_no_short_reading(fake, store, after):
    fake.faults.add(path="_search", after=after, patch={"_shards": {"total": 1, "failed": 1}})
    with pytest.raises(DataError, match="nothing is read from a part"):
        list(store.read(OURS))


def test_an_expired_snapshot_says_so(fake, store):
    lines = iter(store.read(OURS))
    next(lines)
    fake.expire_points()
    with pytest.raises(
        DataError, match="took so long between two pages that the snapshot expired; run again"
    ):
        list(lines)


@pytest.mark.parametrize("slices", [1, 3])
def test_who_stops_early_leaves_no_snapshot_and_no_thread(fake, connect, store, slices):
    before = set(threading.enumerate())
    lines = iter(connect(slices=slices).read(OURS))
    next(lines)
    assert fake.open_points == 1
    lines.close()
    assert fake.open_points == 0
    # The server keeps a thread for each connection that the client has open.
    deadline = time.monotonic() + 5
    while any(thread.name.endswith("(run)") for thread in set(threading.enumerate()) - before):
        assert time.monotonic() < deadline
    assert len(set(threading.enumerate()) - before) <= 4


def test_a_snapshot_is_read_once(store):
    reading = store.read(OURS)
    assert len(list(reading)) == 1500
    with pytest.raises(DataError, match="ask the store for another"):
        list(reading)


def test_pages_shrink_where_records_are_long(fake, store):
    store.append([record(n, text="x" * 200_000) for n in range(5000, 5300)])
    assert len(list(store.read(OURS))) == 1800
    sizes = [orjson.loads(one.body)["size"] for one in fake.requests if one.path.startswith("/_search")]
    assert max(sizes) == 1000
    assert sizes[-1] < 100


def test_documents_are_passed_on_as_they_were_sent(fake, connect):
    ids = b'"client_id": "acme",\r\n "workload_id": "desk", "timestamp": 1717200000000,\t'
    rest = b'"x": "\\u00e9 a\\nb", "big": 1234567890123456789012, "x": 1.0}'
    connect().append([record(0, client_id="other")])
    put(fake, "flywheel", [b"{\n " + ids + rest])
    [line] = connect().read(OURS)
    assert line == b"{  " + ids.replace(b"\r\n", b"  ") + rest + b"\n"


def test_a_text_that_is_no_unicode_hides_no_other_document(fake, connect):
    connect().append([record(n) for n in range(3)])
    odd = json.dumps(record(3, text="half a pair: \ud800", big=10**30)).encode()
    put(fake, "flywheel", [odd])
    for query in (OURS, LogQuery(client_id="acme", workload_id="desk", limit=9)):
        lines = list(connect().read(query))
        assert sorted(json.loads(line)["n"] for line in lines) == [0, 1, 2, 3]
        assert odd + b"\n" in lines


def test_an_index_that_keeps_no_documents_is_an_error(fake, store):
    hit = {"_index": "flywheel", "_id": "1", "sort": [1]}
    fake.faults.add(path="_search", after=1, times=-1, patch={"hits": {"hits": [hit]}})
    with pytest.raises(DataError, match="enable `_source`"):
        list(store.read(OURS))


def test_an_answer_that_is_no_json_is_an_error_without_its_content(fake, store, monkeypatch):
    fake.faults.add(path="_search", after=1, times=-1, patch={"hits": "SECRET of a customer"})
    with pytest.raises(DataError, match="the connection broke") as raised:
        list(store.read(OURS))
    assert "SECRET" not in str(raised.value)


_times = st.lists(st.one_of(st.none(), st.integers(0, 50)), min_size=1, max_size=60)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_times, _times, st.integers(1, 130))
def test_for_all_mixtures_of_seconds_and_milliseconds_the_newest_are_taken(
    fake, connect, in_ms, in_seconds, limit
):
    fake.cluster.indices.remove("_all")
    connect().append([record(0, client_id="other")])
    rows = [(None if at is None else T0 + at * 500, 1) for at in in_ms]
    rows += [(None if at is None else T0 + at * 1000, 1000) for at in in_seconds]
    documents = [
        record(n, n=n, timestamp=None if time_ms is None else time_ms // unit)
        for n, (time_ms, unit) in enumerate(rows)
    ]
    put(fake, "flywheel", documents)
    reading = connect().read(LogQuery(client_id="acme", workload_id="desk", limit=limit))
    taken = [rows[n][0] or 0 for n in numbers(reading)]
    assert taken == heapq.nlargest(limit, [time_ms or 0 for time_ms, _ in rows])
    assert reading.in_store == len(rows)
    assert all(newer >= older for newer, older in pairwise(taken))


def test_windows_find_times_in_seconds_too(fake, connect):
    connect().append([record(0), record(5000)])
    put(fake, "flywheel", [record(n, n=n, timestamp=T0 // 1000 + n) for n in range(1, 7)])
    query = LogQuery(client_id="acme", workload_id="desk", since_ms=T0 + 2000, until_ms=T0 + 5000)
    assert sorted(numbers(connect().read(query))) == [2, 3, 4]
    [summary] = connect().describe().workloads
    assert (summary.first_ms, summary.last_ms) == (T0, T0 + 6000)
    days = connect().statistics().days
    assert [(one.day, one.records) for one in days] == [("2024-06-01", 2), ("2024-06-01", 6)]
    assert [(one.first_ms, one.last_ms) for one in days] == [(T0, T0 + 5000), (T0 + 1000, T0 + 6000)]


def test_a_source_that_fails_ends_the_others():
    stopped = threading.Event()

    def endless(ended):
        while not ended():
            yield 1
        stopped.set()

    def failing(ended):
        yield 2
        raise DataError("broken")

    with pytest.raises(DataError, match="broken"):
        for _ in side_by_side([endless, failing]):
            pass
    assert stopped.is_set()

"""Storing in Elasticsearch: each record once, refused ones by position, busy clusters, data streams."""

from __future__ import annotations

import json

import orjson
import pytest

from include.flywheel.errors import DataError
from include.flywheel.logs.elastic.template import index_template
from include.flywheel.logs.store import LogQuery, RecordsRefused

T0 = 1_717_200_000_000
OURS = LogQuery(client_id="acme", workload_id="desk")


def record(n, **fields):
    return {"timestamp": T0 + n, "client_id": "acme", "workload_id": "desk", "n": n} | fields


def bulks(fake):
    return [one for one in fake.requests if one.path.endswith("/_bulk")]


def test_a_load_makes_the_index_as_the_template_says(fake, connect):
    connect().append([record(1)])
    [index] = fake.cluster.indices.indices.values()
    assert index.mapping.properties == index_template("flywheel")["template"]["mappings"]["properties"]
    assert index.mapping.dynamic == "false"


def test_records_of_any_shape_are_taken(fake, connect):
    odd = [
        record(1, request="text", response=[1], error="broken", latency_ms="slow", tokens_in="many"),
        record(2, error={"code": 500}, request={"a": 1}, description="text", novel={"x": 1}),
        record(3, error=[{"a": 1}], request=[1, "a"], tokens_in=1.5, cost_usd="12"),
    ]
    store = connect()
    assert store.append(odd).stored == 3
    assert sorted(orjson.loads(line)["n"] for line in store.read(OURS)) == [1, 2, 3]


@pytest.mark.parametrize("field", ["session_id", "tokens_in", "description"])
def test_a_record_that_the_mapping_refuses_is_named_and_the_others_are_stored(fake, connect, field):
    store = connect()
    with pytest.raises(RecordsRefused, match="refused 1 of the records, the first at position 1") as raised:
        store.append([record(1), record(2, **{field: {"a": 1}}), record(3), record(3)])
    assert list(raised.value.refused) == [1]
    assert f"[{field}]" in raised.value.refused[1]
    assert (raised.value.report.stored, raised.value.report.already_stored) == (2, 1)
    assert [one["n"] for one in fake.documents()] == [1, 3]


def test_what_a_busy_cluster_refuses_is_sent_again(fake, connect):
    fake.faults.add(path="_bulk", items=429, count=3)
    fake.faults.add(path="_bulk", items=429, count=1)
    report = connect().append([record(n) for n in range(5)])
    assert (report.stored, report.already_stored) == (5, 0)
    assert [one.body.count(b"\n") // 2 for one in bulks(fake)] == [5, 3, 1]


def test_a_cluster_that_stays_busy_is_an_error_in_the_end(fake, connect):
    fake.faults.add(path="_bulk", items=429, count=2, times=-1)
    store = connect()
    store._writer._pause_seconds = 0.001
    with pytest.raises(DataError, match="refused 2 records 8 times because it is busy"):
        store.append([record(n) for n in range(5)])
    fake.faults.clear()
    report = store.append([record(n) for n in range(5)])
    assert (report.stored, report.already_stored) == (2, 3)


@pytest.mark.parametrize("fault", [{"status": 503}, {"reset": True}, {"cut": True}], ids=str)
def test_a_fault_of_the_wire_stores_nothing_twice(fake, connect, fault):
    fake.faults.add(path="_bulk", **fault)
    report = connect().append([record(n) for n in range(5)])
    assert report.stored + report.already_stored == 5
    assert [one["n"] for one in fake.documents()] == [0, 1, 2, 3, 4]


def test_requests_are_bounded_by_bytes_and_by_count(fake, connect):
    connect().append([record(n, text="x" * 3_000_000) for n in range(5)])
    connect().append([record(n) for n in range(10, 2510)])
    assert max(len(one.body) for one in bulks(fake)) < 9_000_000
    assert [one.body.count(b'{"create"') for one in bulks(fake)] == [2, 2, 1, 1000, 1000, 500]


def test_a_pattern_cannot_be_written_to(connect):
    with pytest.raises(DataError, match=r"'logs-\*' is a pattern, which cannot be written to"):
        connect("logs-*").append([record(1)])


def test_a_data_stream_takes_each_record_once_also_after_a_rollover(fake, connect):
    store = connect("logs-flywheel")
    name = store.install_template(data_stream=True)
    assert fake.cluster.indices.templates[name]["data_stream"] == {}
    assert store.append([record(1), record(2)]).stored == 2
    assert list(fake.cluster.indices.streams) == ["logs-flywheel"]
    fake.cluster.indices.roll_over("logs-flywheel")
    later = connect("logs-flywheel")
    fake.cluster.indices.indices[fake.cluster.indices.streams["logs-flywheel"][0]].refresh()
    report = later.append([record(2), record(3)])
    assert (report.stored, report.already_stored) == (1, 1)
    lines = list(later.read(OURS))
    assert sorted(orjson.loads(line)["n"] for line in lines) == [1, 2, 3]
    assert all(orjson.loads(line)["@timestamp"] == orjson.loads(line)["timestamp"] for line in lines)


def test_a_time_that_the_record_has_is_kept(fake, connect):
    store = connect("stream")
    store.install_template(data_stream=True)
    store.append([record(1, **{"@timestamp": "2024-06-01T00:00:00Z"}), record(2, text='"@timestamp"')])
    assert [one["@timestamp"] for one in fake.documents()] == ["2024-06-01T00:00:00Z", T0 + 2]


def test_the_installed_template_maps_what_others_write(fake, connect):
    store = connect("logs-*")
    assert store.install_template() == "flywheel-logs"
    index = fake.cluster.indices.to_write("logs-2024", "index")
    index.create("1", json.dumps(record(1, client_id="acme shop")).encode())
    index.refresh()
    assert len(list(store.read(LogQuery(client_id="acme shop", workload_id="desk")))) == 1

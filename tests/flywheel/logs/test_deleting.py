"""Deleting records: exactly those of the query, in both stores; others keep their bytes."""

from __future__ import annotations

import gzip

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.flywheel.errors import DataError
from include.flywheel.logs.closing import close_days
from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.partitions import file_name
from include.flywheel.logs.store import LogQuery

DAY = 86_400_000
T0 = 1_717_200_000_000  # 2024-06-01 00:00:00 UTC
OURS = LogQuery(client_id="acme", workload_id="desk")
OLD = LogQuery(client_id="acme", workload_id="desk", until_ms=T0 + DAY)


def record(n, **fields):
    return {"timestamp": T0 + n, "client_id": "acme", "workload_id": "desk", "n": n} | fields


def numbers(reading):
    return sorted(orjson.loads(line)["n"] for line in reading)


@pytest.fixture(params=["files", "elasticsearch"])
def store(request, tmp_path):
    if request.param == "files":
        return FileLogStore(tmp_path)
    return request.getfixturevalue("connect")()


def test_the_records_of_the_query_go_and_no_others(store):
    store.append([record(n) for n in (0, 5, DAY - 1, DAY, 2 * DAY)])
    store.append([record(n, workload_id="other") for n in (0, DAY)])
    assert store.delete(OLD) == 3
    assert numbers(store.read(OURS)) == [DAY, 2 * DAY]
    assert store.count(LogQuery(client_id="acme", workload_id="other")) == 2
    assert store.delete(OLD) == 0


def test_what_was_deleted_can_be_stored_again(store):
    store.append([record(0), record(DAY)])
    store.delete(OLD)
    assert store.append([record(0), record(DAY)]).stored == 1
    assert numbers(store.read(OURS)) == [0, DAY]


@settings(max_examples=30, deadline=None)
@given(times=st.lists(st.integers(0, 4 * DAY), max_size=12, unique=True), cut=st.integers(0, 4 * DAY))
def test_what_is_left_is_what_is_not_older(times, cut, tmp_path_factory):
    store = FileLogStore(tmp_path_factory.mktemp("logs"))
    store.append([record(n) for n in times])
    query = LogQuery(client_id="acme", workload_id="desk", until_ms=T0 + cut)
    assert store.delete(query) == sum(n < cut for n in times)
    assert numbers(store.read(OURS)) == sorted(n for n in times if n >= cut)


def test_an_empty_day_leaves_no_file_and_a_closed_one_goes_too(tmp_path):
    store = FileLogStore(tmp_path)
    store.append([record(0), record(DAY)])
    list(close_days(tmp_path, before="2024-06-02", today="2024-06-03"))
    assert store.delete(OLD) == 1
    assert [path.name for path in tmp_path.rglob("*.jsonl*")] == [file_name("acme", "desk")]


@pytest.mark.parametrize("compressed", [False, True])
def test_lines_of_others_in_a_foreign_file_keep_their_bytes(tmp_path, compressed):
    others = [
        orjson.dumps(record(1, client_id="else")) + b"\r\n",
        b"no record at all\n",
        b"\n",
        orjson.dumps(record(2, workload_id="other")),
    ]
    lines = [orjson.dumps(record(3)) + b"\n", *others[:2], orjson.dumps(record(4)) + b"\n", *others[2:]]
    day = tmp_path / "dt=2024-06-01"
    day.mkdir()
    file = day / f"exported.jsonl{'.gz' if compressed else ''}"
    content = b"".join(lines)
    file.write_bytes(gzip.compress(content) if compressed else content)
    file.chmod(0o640)
    assert FileLogStore(tmp_path).delete(OLD) == 2
    left = file.read_bytes()
    assert (gzip.decompress(left) if compressed else left) == b"".join(others)
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in day.iterdir()] == [file.name]


def test_a_damaged_file_stays_as_it_is(tmp_path):
    day = tmp_path / "dt=2024-06-01"
    day.mkdir()
    file = day / "exported.jsonl.gz"
    file.write_bytes(gzip.compress(orjson.dumps(record(1)) * 100)[:-9])
    before = file.read_bytes()
    with pytest.raises(DataError, match="is damaged"):
        FileLogStore(tmp_path).delete(OLD)
    assert file.read_bytes() == before


def test_a_file_that_grows_meanwhile_stays_as_it_is(tmp_path, monkeypatch):
    store = FileLogStore(tmp_path)
    day = tmp_path / "dt=2024-06-01"
    day.mkdir()
    file = day / "exported.jsonl"
    file.write_bytes(orjson.dumps(record(1)) + b"\n" + orjson.dumps(record(2, workload_id="other")) + b"\n")

    def late_line(*_):
        with file.open("ab") as writer:
            writer.write(orjson.dumps(record(9)) + b"\n")

    monkeypatch.setattr("shutil.copymode", late_line)
    with pytest.raises(DataError, match="is being written to"):
        store.delete(OLD)
    assert numbers(store.read(OURS)) == [1, 9]
    assert [path.name for path in day.iterdir()] == ["exported.jsonl"]


def test_a_store_without_a_folder_has_nothing_to_delete(tmp_path):
    assert FileLogStore(tmp_path / "none").delete(OLD) == 0
    assert not (tmp_path / "none").exists()


def test_a_cluster_that_deletes_a_part_is_an_error(fake, connect):
    store = connect()
    store.append([record(n) for n in range(3)])
    fake.faults.add(path="_delete_by_query", patch={"deleted": 1, "version_conflicts": 2})
    with pytest.raises(DataError, match="2 records were not deleted"):
        store.delete(OLD)


def test_a_key_that_may_not_delete_is_told(fake, connect):
    store = connect()
    store.append([record(1)])
    fake.faults.add(path="_delete_by_query", status=403)
    with pytest.raises(DataError, match="deleting was refused by Elasticsearch with 403"):
        store.delete(OLD)

"""The file log store: partitions, names, snapshots, limits, and files that others write."""

from __future__ import annotations

import gzip
import multiprocessing

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.flywheel.errors import DataError
from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.known_lines import KnownLines
from include.flywheel.logs.partitions import file_name
from include.flywheel.logs.store import LogQuery, WorkloadSummary
from include.flywheel.logs.timestamps import day_of, start_of_day_ms, to_milliseconds

DAY = 86_400_000
T0 = 1_717_200_000_000  # 2024-06-01 00:00:00 UTC
OURS = LogQuery(client_id="acme", workload_id="desk")


def record(n, **fields):
    return {"timestamp": T0 + n, "client_id": "acme", "workload_id": "desk", "n": n} | fields


def numbers(reading):
    return [orjson.loads(line)["n"] for line in reading]


def own_file(root, day="2024-06-01"):
    return root / f"dt={day}" / file_name("acme", "desk")


def test_records_go_into_the_folder_of_their_day(tmp_path):
    store = FileLogStore(tmp_path)
    report = store.append([record(0), record(DAY), record(DAY - 1)])
    assert (report.stored, report.already_stored) == (3, 0)
    assert {path.name for path in tmp_path.glob("dt=*")} == {"dt=2024-06-01", "dt=2024-06-02"}
    assert numbers(store.read(OURS)) == [0, DAY - 1, DAY]


def test_the_limit_takes_the_newest_and_the_store_says_how_many_there_are(tmp_path):
    store = FileLogStore(tmp_path)
    order = [5, 1, 9, 3, 7, DAY + 2, 2]
    store.append([record(n) for n in order])
    reading = store.read(LogQuery(client_id="acme", workload_id="desk", limit=3))
    assert sorted(numbers(reading)) == [7, 9, DAY + 2]
    assert reading.in_store == 7
    assert store.count(LogQuery(client_id="acme", workload_id="desk", limit=3)) == 7


def test_the_window_includes_its_start_and_not_its_end(tmp_path):
    store = FileLogStore(tmp_path)
    store.append([record(n) for n in (0, 10, 20, DAY, 2 * DAY)])
    window = LogQuery(client_id="acme", workload_id="desk", since_ms=T0 + 10, until_ms=T0 + DAY)
    assert numbers(store.read(window)) == [10, 20]


def test_what_is_appended_while_reading_does_not_appear(tmp_path):
    store = FileLogStore(tmp_path)
    store.append([record(1), record(2)])
    reading = store.read(OURS)
    store.append([record(3)])
    assert numbers(reading) == [1, 2]
    assert numbers(store.read(OURS)) == [1, 2, 3]


def test_a_torn_last_line_is_read_and_the_next_append_is_not_glued_to_it(tmp_path):
    store = FileLogStore(tmp_path)
    store.append([record(1), record(2)])
    path = own_file(tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    whole, torn = store.read(OURS)
    assert whole.endswith(b"\n")
    assert not torn.endswith(b"\n")
    store.append([record(3)])
    assert list(store.read(OURS)) == [whole, torn + b"\n", orjson.dumps(record(3)) + b"\n"]
    assert store.append([record(2)]).stored == 1


def test_a_last_line_without_its_end_is_a_record_when_it_is_whole(tmp_path):
    store = FileLogStore(tmp_path)
    store.append([record(1)])
    path = own_file(tmp_path)
    path.write_bytes(path.read_bytes().rstrip())
    assert numbers(store.read(OURS)) == [1]
    assert store.append([record(1)]).already_stored == 1


def test_closed_days_are_read_and_known(tmp_path):
    store = FileLogStore(tmp_path)
    store.append([record(1), record(2)])
    path = own_file(tmp_path)
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    report = store.append([record(2), record(3)])
    assert (report.stored, report.already_stored) == (1, 1)
    assert sorted(numbers(store.read(OURS))) == [1, 2, 3]


def test_a_truncated_closed_day_gives_what_can_be_read_and_counts_the_rest(tmp_path):
    store = FileLogStore(tmp_path)
    store.append([record(n, text=f"{n * 7919 % 1009}") for n in range(3000)])
    path = own_file(tmp_path)
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes())[:-2000])
    path.unlink()
    reading = store.read(OURS)
    lines = list(reading)
    assert 0 < len(lines) == reading.in_store < 3000
    assert [line for line in lines if not line.endswith(b"\n")] == [b""]
    assert store.describe().unreadable == 1


def test_lines_of_other_programs_are_found_by_their_ids(tmp_path):
    folder = tmp_path / "dt=2024-06-01"
    folder.mkdir()
    lines = [
        orjson.dumps({"n": 1, "workload_id": "desk", "timestamp": T0 // 1000, "client_id": "acme"}),
        orjson.dumps(record(2, workload_id="other", text="acme desk")),
        b'{"client_id": "acme", "workload_id": "desk", torn',
        b'["acme", "desk"]',
        b"",
        b"someone else's rubbish",
        orjson.dumps({"client_id": "acme", "workload_id": "desk", "n": 3}),
    ]
    (folder / "exporter.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    (tmp_path / "dt=never").mkdir()
    (tmp_path / "dt=never" / "x.jsonl").write_bytes(lines[0])
    reading = FileLogStore(tmp_path).read(OURS)
    found = [(line.rstrip(b"\n"), reading.where()) for line in reading]
    assert [line for line, _ in found] == [lines[0], lines[2], lines[3], lines[6]]
    assert found[0][1] == "dt=2024-06-01/exporter.jsonl byte 0"
    assert found[1][1] == f"dt=2024-06-01/exporter.jsonl byte {len(lines[0]) + len(lines[1]) + 2}"


def test_records_without_a_time_count_as_the_oldest_of_their_day(tmp_path):
    store = FileLogStore(tmp_path)
    store.append([record(5), record(6)])
    with own_file(tmp_path).open("ab") as file:
        file.write(b'{"client_id":"acme","workload_id":"desk","n":-1}\n')
    reading = store.read(LogQuery(client_id="acme", workload_id="desk", limit=2))
    assert (numbers(reading), reading.in_store) == ([5, 6], 3)


ODD_IDS = [("a/b", "c"), ("a", "b/c"), ("a.b", "c"), ("..", ".."), ("Acme", "desk"), ("acme", "desk")]


def test_odd_ids_are_kept_apart_and_make_legal_names(tmp_path):
    pairs = [*ODD_IDS, ("überschall ✈", "日本"), ("x" * 300, 'quote " and \\ and \n')]
    store = FileLogStore(tmp_path)
    store.append([record(n, client_id=c, workload_id=w) for n, (c, w) in enumerate(pairs)])
    assert len({file_name(c, w).lower() for c, w in pairs}) == len(pairs)
    for n, (client_id, workload_id) in enumerate(pairs):
        assert numbers(store.read(LogQuery(client_id=client_id, workload_id=workload_id))) == [n]


@settings(max_examples=80, deadline=None)
@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_every_name_is_legal(client_id, workload_id):
    try:
        client_id.encode()
        workload_id.encode()
    except UnicodeEncodeError:
        return
    name = file_name(client_id, workload_id)
    assert len(name) < 150
    assert not set(name) & set('/\\:*?"<>|\0 \n')


def test_non_ascii_ids_are_found_however_a_writer_escapes_them(tmp_path):
    folder = tmp_path / "dt=2024-06-01"
    folder.mkdir()
    (folder / "x.jsonl").write_bytes(b'{"client_id":"\\u00fcber","workload_id":"d\\/w","n":1}\n')
    assert numbers(FileLogStore(tmp_path).read(LogQuery(client_id="über", workload_id="d/w"))) == [1]


@pytest.mark.parametrize("missing", ["timestamp", "client_id", "workload_id"])
def test_append_refuses_records_without_ids_or_time_before_writing(tmp_path, missing):
    broken = record(2)
    del broken[missing]
    with pytest.raises(DataError, match="needs `timestamp`"):
        FileLogStore(tmp_path).append([record(1), broken])
    assert FileLogStore(tmp_path).count(OURS) == 0


def test_append_refuses_what_is_not_json(tmp_path):
    with pytest.raises(DataError, match="is not JSON"):
        FileLogStore(tmp_path).append([record(1, x=object())])


def test_describe_counts_by_workload(tmp_path):
    store = FileLogStore(tmp_path)
    store.append([record(1), record(9), record(DAY, workload_id="other")])
    (tmp_path / "dt=2024-06-01" / "x.jsonl").write_bytes(b"nothing\n[]\n")
    summary = store.describe()
    assert summary.unreadable == 2
    assert summary.workloads == [
        WorkloadSummary(client_id="acme", workload_id="desk", records=2, first_ms=T0 + 1, last_ms=T0 + 9),
        WorkloadSummary(
            client_id="acme", workload_id="other", records=1, first_ms=T0 + DAY, last_ms=T0 + DAY
        ),
    ]


def test_an_empty_store_is_empty(tmp_path):
    store = FileLogStore(tmp_path / "not made yet")
    assert list(store.read(OURS)) == []
    assert store.describe().workloads == []


def test_known_lines_of_other_days_are_dropped_and_read_again(tmp_path):
    store = FileLogStore(tmp_path)
    store.append([record(n * DAY, k=k) for n in range(3) for k in range(5)])
    known = KnownLines(max_keys=5)
    paths = [own_file(tmp_path, f"2024-06-0{n}") for n in (1, 2, 3)]
    assert [len(known.of(path).digests) for path in [*paths, paths[0]]] == [5, 5, 5, 5]
    assert sum(len(day.digests) for day in known._days.values()) == 5


def _append(root, first):
    store = FileLogStore(root)
    for n in range(first, first + 60):
        store.append([record(n), record(1000 + n % 10)])


def test_two_processes_append_at_once_without_a_lost_torn_or_double_line(tmp_path):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_append, args=(tmp_path, first)) for first in (0, 100)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    expected = [*range(60), *range(100, 160), *range(1000, 1010)]
    assert sorted(numbers(FileLogStore(tmp_path).read(OURS))) == expected


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [
        (1_717_200_000, 1_717_200_000_000),
        (1_717_200_000.5, 1_717_200_000_500),
        (10**11, 10**11),
        (99_999_999_999, 99_999_999_999_000),
        (0, None),
        (-1, None),
        (float("nan"), None),
        (float("inf"), None),
        (True, None),
        ("1717200000", None),
        (1_717_200_000_000_000, None),
        (None, None),
    ],
)
def test_timestamps(value, milliseconds):
    assert to_milliseconds(value) == milliseconds


def test_days_are_utc():
    assert day_of(T0 - 1) == "2024-05-31"
    assert start_of_day_ms("2024-06-01") == T0

"""Closing days: nothing is lost or doubled, whenever it is killed."""

from __future__ import annotations

import gzip
import multiprocessing
import os
import signal
import sys

import orjson
import pytest

from include.flywheel.errors import DataError
from include.flywheel.logs import closing
from include.flywheel.logs.closing import close_days
from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.partitions import file_name
from include.flywheel.logs.store import LogQuery

DAY = 86_400_000
T0 = 1_717_200_000_000  # 2024-06-01 00:00:00 UTC
OURS = LogQuery(client_id="acme", workload_id="desk")
BEFORE = {"before": "2024-06-03", "today": "2024-06-09"}
NAME = file_name("acme", "desk")


def record(at, **fields):
    return {"timestamp": T0 + at, "client_id": "acme", "workload_id": "desk", "n": at} | fields


def numbers(root):
    return sorted(orjson.loads(line)["n"] for line in FileLogStore(root).read(OURS))


def test_past_days_become_gz_and_are_read_and_known(tmp_path):
    store = FileLogStore(tmp_path)
    documents = [record(n) for n in (1, 2, DAY, 2 * DAY)]
    store.append(documents)
    closed = list(close_days(tmp_path, **BEFORE))
    assert [one.path for one in closed] == [f"dt=2024-06-0{day}/{NAME}.gz" for day in (1, 2)]
    assert sorted(path.name for path in tmp_path.glob("dt=*/*")) == [NAME, f"{NAME}.gz", f"{NAME}.gz"]
    assert numbers(tmp_path) == [1, 2, DAY, 2 * DAY]
    for again in (store, FileLogStore(tmp_path)):
        assert again.append(documents).already_stored == 4
    assert list(close_days(tmp_path, **BEFORE)) == []


def test_late_records_are_merged_without_doubling(tmp_path):
    store = FileLogStore(tmp_path)
    store.append([record(1), record(2)])
    list(close_days(tmp_path, **BEFORE))
    store.append([record(2), record(3)])
    assert numbers(tmp_path) == [1, 2, 3]
    list(close_days(tmp_path, **BEFORE))
    assert numbers(tmp_path) == [1, 2, 3]
    assert [path.name for path in tmp_path.glob("dt=*/*")] == [f"{NAME}.gz"]


def test_damaged_lines_are_kept_as_they_are(tmp_path):
    FileLogStore(tmp_path).append([record(1)])
    path = tmp_path / "dt=2024-06-01" / NAME
    with path.open("ab") as file:
        file.write(b"\xff not json\n\n{torn")
    before = path.read_bytes()
    list(close_days(tmp_path, **BEFORE))
    assert gzip.decompress(path.with_name(f"{NAME}.gz").read_bytes()) == before + b"\n"


def test_files_of_other_programs_are_left_to_them(tmp_path):
    folder = tmp_path / "dt=2024-06-01"
    folder.mkdir()
    (folder / "exporter.jsonl").write_bytes(orjson.dumps(record(1)) + b"\n")
    assert list(close_days(tmp_path, **BEFORE)) == []
    assert numbers(tmp_path) == [1]


@pytest.mark.parametrize(
    ("before", "message"),
    [("2024-06-10", "include today, 2024-06-09"), ("junk", "'junk' is no day; write it as YYYY-MM-DD")],
)
def test_today_and_nonsense_are_refused(tmp_path, before, message):
    FileLogStore(tmp_path).append([record(1)])
    with pytest.raises(DataError, match=message):
        list(close_days(tmp_path, before=before, today="2024-06-09"))
    assert (tmp_path / "dt=2024-06-01" / NAME).exists()


def test_a_damaged_gz_is_not_overwritten(tmp_path):
    store = FileLogStore(tmp_path)
    store.append([record(n) for n in range(500)])
    list(close_days(tmp_path, **BEFORE))
    closed = tmp_path / "dt=2024-06-01" / f"{NAME}.gz"
    damaged = closed.read_bytes()[:-300]
    closed.write_bytes(damaged)
    FileLogStore(tmp_path).append([record(1000)])
    with pytest.raises(DataError, match="is damaged"):
        list(close_days(tmp_path, **BEFORE))
    assert closed.read_bytes() == damaged
    assert sorted(path.name for path in closed.parent.iterdir()) == [NAME, f"{NAME}.gz"]


def test_a_reading_whose_file_was_closed_meanwhile_says_so(tmp_path):
    store = FileLogStore(tmp_path)
    store.append([record(1)])
    reading = store.read(OURS)
    list(close_days(tmp_path, **BEFORE))
    with pytest.raises(DataError, match="run again"):
        list(reading)
    assert numbers(tmp_path) == [1]


def test_readings_that_begin_while_days_are_closed_are_whole_or_an_error(tmp_path):
    days = range(40)
    store = FileLogStore(tmp_path)
    store.append([record(n * DAY) for n in days])
    worker = multiprocessing.get_context("fork").Process(
        target=lambda: list(close_days(tmp_path, before="2024-12-01", today="2024-12-01"))
    )
    worker.start()
    while worker.is_alive():
        try:
            found = set(numbers(tmp_path))
        except DataError:
            continue
        assert found == {n * DAY for n in days}
    assert worker.exitcode == 0
    assert numbers(tmp_path) == [n * DAY for n in days]


def _close_and_die_at(root, at):
    """Kill this process before the `at`-th line of the module runs."""
    passed = 0

    def trace(frame, event, _argument):
        nonlocal passed
        if frame.f_code.co_filename != closing.__file__:
            return None
        if event == "line":
            passed += 1
            if passed == at:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)
    list(close_days(root, **BEFORE))
    sys.settrace(None)


def test_killed_at_any_line_no_record_is_lost_and_the_next_close_merges(tmp_path):
    context = multiprocessing.get_context("fork")
    kills = 0
    for at in range(1, 1000):
        root = tmp_path / str(at)
        store = FileLogStore(root)
        store.append([record(1), record(2)])
        list(close_days(root, **BEFORE))
        store.append([record(2, n=3), record(4)])
        worker = context.Process(target=_close_and_die_at, args=(root, at))
        worker.start()
        worker.join(30)
        assert set(numbers(root)) == {1, 2, 3, 4}, at
        list(close_days(root, **BEFORE))
        assert numbers(root) == [1, 2, 3, 4], at
        assert [path.name for path in root.glob("dt=*/*")] == [f"{NAME}.gz"], at
        if worker.exitcode == 0:
            break
        kills += 1
    assert kills > 30

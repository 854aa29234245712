"""The file sink, read back by the flywheel's own store."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.partitions import log_files
from include.flywheel.logs.record_lines import owner
from include.flywheel.logs.store import LogQuery
from include.instrument import FileSink, Line, Recorder, Stats

QUERY = LogQuery(client_id="acme", workload_id="desk")
DAY_MS = 86_400_000
NOON_MS = 1_767_614_400_000


def lines_of(root: Path) -> list[bytes]:
    return [line for path in sorted(root.glob("dt=*/*.jsonl")) for line in path.read_bytes().splitlines(True)]


def test_the_flywheels_store_reads_what_was_recorded(
    recorders: Callable[..., Recorder], tmp_path: Path, completion: Any
) -> None:
    recorder = recorders(FileSink(tmp_path))
    for number in range(3):
        recorder.record(
            request={"input": "ä\n"}, response=completion, timestamp_ms=NOON_MS + number * DAY_MS // 2
        )
    recorder.record(request={"input": "x"}, workload_id="other", timestamp_ms=NOON_MS)
    assert recorder.flush()
    store = FileLogStore(tmp_path)
    assert len(list(store.read(QUERY))) == store.count(QUERY) == 3
    found = {whose.workload_id: whose.records for whose in store.describe().workloads}
    assert found == {"desk": 3, "other": 1}
    assert store.describe().unreadable == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dt=2026-01-05", "dt=2026-01-06"]
    assert not any(file.own for file in log_files(tmp_path))
    assert recorder.stats() == Stats(4, 4, {}, 0)


def test_whose_a_line_is_stands_in_its_head(
    recorders: Callable[..., Recorder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = recorders(FileSink(tmp_path), client_id='a "quoted" näme')
    recorder.record(request={"input": "x"}, timestamp_ms=NOON_MS)
    assert recorder.flush()
    [line] = lines_of(tmp_path)
    assert line.startswith(b'{"timestamp":1767614400000,"client_id":"')
    # Cut short, it can be told by its head alone.
    cut = owner(line[: line.index(b'"request"')])
    assert (cut.client_id, cut.workload_id, cut.timestamp_ms) == ('a "quoted" näme', "desk", NOON_MS)


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """Lets no file grow beyond a size, as a full disk does: a write is cut short, the next one fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def limit(size_bytes: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_leaves_whole_lines_and_stores_nothing_twice(
    tmp_path: Path, small_files: Callable[[int], None]
) -> None:
    sink = FileSink(tmp_path)
    lines = [Line(str(number), NOON_MS, json.dumps({"n": number}).encode()) for number in range(10)]
    assert {outcome.state for outcome in sink.write(lines[:5])} == {"written"}
    size = sum(path.stat().st_size for path in tmp_path.glob("dt=*/*"))
    small_files(size + 12)
    outcomes = sink.write(lines[5:])
    assert {outcome.state for outcome in outcomes} == {"retry"}
    assert os.strerror(errno.EFBIG) in outcomes[0].detail
    assert len(lines_of(tmp_path)) == 5
    small_files(resource.RLIM_INFINITY)
    assert {outcome.state for outcome in sink.write(lines[5:])} == {"written"}
    assert [json.loads(line)["n"] for line in lines_of(tmp_path)] == list(range(10))


def test_a_folder_that_cannot_be_written_is_tried_again(
    recorders: Callable[..., Recorder], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "logs"
    root.write_text("in the way")
    recorder = recorders(FileSink(root))
    recorder.record(request={"input": "x"})
    assert not recorder.flush(0.1)
    assert str(root) in caplog.text
    root.unlink()
    assert recorder.flush()
    assert len(lines_of(root)) == 1


def test_a_torn_line_is_ended_before_the_next(tmp_path: Path) -> None:
    sink = FileSink(tmp_path)
    sink.write([Line("1", NOON_MS, b"{}")])
    [path] = tmp_path.glob("dt=*/*.jsonl")
    with path.open("ab") as file:
        file.write(b'{"torn":')
    sink.write([Line("2", NOON_MS, b"{}")])
    assert path.read_bytes() == b'{}\n{"torn":\n{}\n'

"""The loader: every line is stored, stored already, or rejected for a reason with an example."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.flywheel.errors import DataError
from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.lines import read_lines
from include.flywheel.logs.load import LoadInterrupted, LoadLedger, NotJsonLines, load
from include.flywheel.logs.store import LogQuery
from include.flywheel.logs.tally import Tally

NOW_MS = 1_717_200_000_000
OURS = LogQuery(client_id="acme", workload_id="desk")


def line(**fields):
    record = {"timestamp": NOW_MS, "client_id": "acme", "workload_id": "desk"} | fields
    return json.dumps({key: value for key, value in record.items() if value is not None}).encode()


def documents(store):
    return [json.loads(line) for line in store.read(OURS)]


def test_each_reason_is_counted_with_the_line_of_its_first_case(tmp_path):
    lines = [
        line(request={"n": 1}),
        b"",
        b"{torn",
        b"[1]",
        line(client_id="other"),
        line(workload_id="other"),
        line(timestamp=None),
        line(timestamp="yesterday"),
        line(timestamp=True),
        line(request={"n": 1}),
    ]
    ledger = load(lines, FileLogStore(tmp_path), "acme", "desk", source="a.jsonl")
    assert (ledger.lines_read, ledger.stored, ledger.already_stored) == (10, 1, 1)
    assert ledger.rejected == {
        "timestamp is not Unix time": Tally(count=2, example="a.jsonl:8"),
        "blank line": Tally(count=1, example="a.jsonl:2"),
        "no timestamp": Tally(count=1, example="a.jsonl:7"),
        "not JSON": Tally(count=1, example="a.jsonl:3"),
        "not a JSON object": Tally(count=1, example="a.jsonl:4"),
        "other client": Tally(count=1, example="a.jsonl:5"),
        "other workload": Tally(count=1, example="a.jsonl:6"),
    }


def test_unlabelled_lines_become_those_of_the_workload_and_seconds_become_milliseconds(tmp_path):
    store = FileLogStore(tmp_path)
    load([line(client_id=None, workload_id=None, timestamp=1_717_200_000.25, x=1)], store, "acme", "desk")
    assert documents(store) == [
        {"timestamp": 1_717_200_000_250, "client_id": "acme", "workload_id": "desk", "x": 1}
    ]


def test_loading_again_stores_nothing_also_in_another_process(tmp_path):
    lines = [line(x=n, timestamp=NOW_MS + n * 40_000_000) for n in range(30)]
    load(lines, FileLogStore(tmp_path), "acme", "desk")
    again = load(lines, FileLogStore(tmp_path), "acme", "desk")
    assert (again.stored, again.already_stored) == (0, 30)
    assert FileLogStore(tmp_path).count(OURS) == 30


@pytest.mark.parametrize(
    "lines", [[b"PAR1\x00\x01", b"\xff\xfe"], [b'[{"a": 1}, {"b": 2}]'], [b"", b"  "]], ids=str
)
def test_a_file_that_is_not_json_lines_is_one_error_and_stores_nothing(tmp_path, lines):
    with pytest.raises(NotJsonLines, match=r"x\.bin: none of its \d lines is a JSON object"):
        load(lines, FileLogStore(tmp_path), "acme", "desk", source="x.bin")
    assert not list(tmp_path.iterdir())


def test_an_empty_input_is_an_error(tmp_path):
    with pytest.raises(NotJsonLines, match="is empty"):
        load([], FileLogStore(tmp_path), "acme", "desk")


def test_a_truncated_gz_is_one_error_after_what_could_be_read(tmp_path):
    path = tmp_path / "cut.jsonl.gz"
    content = b"\n".join(line(x="y" * 50, n=n * 7919 % 1009) for n in range(4000))
    path.write_bytes(gzip.compress(content)[:-300])
    store = FileLogStore(tmp_path / "store")
    with pytest.raises(LoadInterrupted, match=r"truncated or damaged after line \d+") as caught:
        load(read_lines(path), store, "acme", "desk")
    ledger = caught.value.ledger
    ledger.check()
    assert 0 < ledger.lines_read < 4000
    assert store.count(OURS) == ledger.stored


def test_read_lines_takes_plain_and_compressed_files_whatever_their_name(tmp_path):
    content = b'\xef\xbb\xbf{"a":1}\r\n\n{"b":2}'
    (tmp_path / "plain.gz").write_bytes(content)
    (tmp_path / "packed.jsonl").write_bytes(gzip.compress(content))
    expected = [b'{"a":1}', b"", b'{"b":2}']
    assert list(read_lines(tmp_path / "plain.gz")) == expected
    assert list(read_lines(tmp_path / "packed.jsonl")) == expected


def test_a_missing_file_names_its_path(tmp_path):
    with pytest.raises(DataError, match=r"nope\.jsonl: cannot be read"):
        load(read_lines(tmp_path / "nope.jsonl"), FileLogStore(tmp_path), "acme", "desk")


def test_a_store_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="cannot be written"):
        load([line()], FileLogStore(tmp_path / "file"), "acme", "desk")


def test_a_ledger_that_does_not_add_up_is_refused():
    ledger = LoadLedger(client_id="a", workload_id="b", lines_read=3, stored=1, already_stored=1, rejected={})
    with pytest.raises(DataError, match="3 lines read, but 1 stored"):
        ledger.check()


def test_progress_ends_at_the_number_of_lines(tmp_path):
    told = []
    load([line(x=n) for n in range(2500)], FileLogStore(tmp_path), "acme", "desk", progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 2500


_values = st.one_of(st.none(), st.booleans(), st.integers(-5, 10**14), st.floats(), st.text(max_size=4))
_lines = st.one_of(
    st.binary(max_size=12),
    st.sampled_from([b"", b"[]", b"{}", b"null"]),
    st.fixed_dictionaries(
        {},
        optional={
            "timestamp": st.one_of(st.just(NOW_MS), _values),
            "client_id": st.sampled_from(["acme", "other", None, 7, ""]),
            "workload_id": st.sampled_from(["desk", "other", None]),
            "x": st.integers(0, 3),
        },
    ).map(lambda record: json.dumps(record).encode()),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_lines, max_size=30))
def test_for_all_lines_the_ledger_adds_up_and_the_store_holds_what_it_says(tmp_path_factory, lines):
    store = FileLogStore(tmp_path_factory.mktemp("store"))
    try:
        ledger = load([*lines, line(x="ours")], store, "acme", "desk")
    except NotJsonLines:
        pytest.fail("one line is a record")
    ledger.check()
    assert ledger.lines_read == len(lines) + 1
    assert store.count(OURS) == ledger.stored == len(documents(store))

"""The spool gives back what was put in, and leaves nothing behind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.flywheel.datasets import spool as spooling
from include.flywheel.datasets.spool import Spool

_part = st.binary(max_size=30)


@given(
    st.lists(st.tuples(st.sampled_from([b"", b"system", b"other"]), _part, _part, _part), min_size=1),
    st.sampled_from([0, 12, 10_000]),
)
def test_for_all_records_the_row_and_the_side_come_back(tmp_path_factory, records, shared_bytes):
    with pytest.MonkeyPatch.context() as patch, Spool(tmp_path_factory.getbasetemp()) as spool:
        patch.setattr(spooling, "SHARED_BYTES", shared_bytes)
        places = [spool.add(*record) for record in records]
        for (head, middle, tail, side), place in zip(records, places, strict=True):
            assert spool.row(place) == head + middle + tail
            assert spool.record(place) == (head + middle + tail, side)


def test_what_many_records_share_is_written_once(tmp_path):
    with Spool(tmp_path) as spool:
        places = [spool.add(b"s" * 1000, b"%d" % n, b"t" * 500, b"") for n in range(50)]
        assert places[-1].offset + places[-1].middle_bytes < 100
        assert sorted(spool.shared_lengths()) == [0, 500, 1000]


def test_reading_and_writing_may_take_turns(tmp_path):
    with Spool(tmp_path) as spool:
        first = spool.add(b"", b"first", b"", b"")
        assert spool.row(first) == b"first"
        second = spool.add(b"", b"second", b"", b"")
        assert (spool.row(second), spool.row(first)) == (b"second", b"first")


def test_the_file_has_no_name(tmp_path):
    with Spool(tmp_path / "made") as spool:
        spool.add(b"", b"x" * 10_000_000, b"", b"")
        assert not list((tmp_path / "made").iterdir())

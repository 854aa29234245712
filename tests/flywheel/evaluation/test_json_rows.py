from __future__ import annotations

import io
import json
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.flywheel.evaluation import json_rows

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(max_size=5), VALUES, max_size=4)


@settings(max_examples=60, deadline=None)
@given(st.lists(OBJECTS, max_size=6), st.booleans(), st.sampled_from([None, 2]), st.integers(1, 9))
def test_any_array_of_objects_is_read_whole_whatever_the_size_of_the_chunks(value, ascii_, indent, chunk):
    data = json.dumps(value, ensure_ascii=ascii_, indent=indent).encode("utf-8", "surrogatepass")
    with mock.patch.object(json_rows, "CHUNK_BYTES", chunk):
        assert list(json_rows.rows(io.BytesIO(data))) == value


def test_only_what_is_asked_for_is_read():
    many = b"[" + b",".join([b'{"text": "' + b"x" * 1000 + b'"}'] * 2000) + b"]"
    stream = io.BytesIO(many)

    next(json_rows.rows(stream))

    assert stream.tell() <= 2 * json_rows.CHUNK_BYTES


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "begins with ''"),
        (b'{"a": 1}', "bracket of an array"),
        (b"[1, 2]", "row 0 begins with '1'"),
        (b'[{"a": 1} {"b": 2}]', "row 0 is followed by '{'"),
        (b'[{"a": 1},]', "row 1 begins with ']'"),
        (b'[{"a": 1}, {"b": ', "row 1 is broken or cut off"),
        (b'[{"a": 1}', "row 0 is followed by ''"),
        (b'[{"a": 1}] x', "follows the closing bracket"),
        (b'[{"a": "\xff"}]', "not UTF-8"),
        (b"[" + b"[" * 200_000, "nested too deeply"),
    ],
)
def test_what_is_no_array_of_rows_is_said(data, said):
    with pytest.raises(json_rows.RowsError) as caught:
        list(json_rows.rows(io.BytesIO(data)))
    assert said in str(caught.value)

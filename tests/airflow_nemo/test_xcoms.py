from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.airflow_nemo.xcoms import returned_by_trigger


@given(st.text() | st.dictionaries(st.text(), st.integers()) | st.lists(st.text()))
def test_what_airflow_encoded_twice_is_read(value: Any) -> None:
    assert returned_by_trigger(json.dumps(value)) == value


@pytest.mark.parametrize("value", ["eval-1", "ns/m@cust-1", "", None, 3, {"a": 1}, '"open', "{not json"])
def test_what_a_worker_pushed_is_left_alone(value: Any) -> None:
    assert returned_by_trigger(value) == value

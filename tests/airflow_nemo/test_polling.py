from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from include.airflow_nemo.polling import Polling

POSITIVE = st.floats(min_value=0.01, max_value=600)


@given(first=POSITIVE, longest=POSITIVE, left=st.floats(min_value=-10, max_value=1e6), n=st.integers(1, 30))
def test_no_wait_is_negative_too_long_or_beyond_the_deadline(
    first: float, longest: float, left: float, n: int
) -> None:
    longest = max(first, longest)
    polling = Polling(first=first, longest=longest, deadline_at=time.time() + left)
    for _ in range(n):
        assert 0 <= polling.wait_seconds() <= min(longest * 1.2, max(left, 0)) + 1e-6


def test_waits_grow_until_something_moves() -> None:
    polling = Polling(first=1, longest=100, deadline_at=time.time() + 1e6)
    waits = [polling.wait_seconds() for _ in range(12)]
    assert waits[-1] > 10 * waits[0]
    polling.changed()
    assert polling.wait_seconds() <= 1.2


def test_what_a_service_asks_for_is_the_least() -> None:
    polling = Polling(first=1, longest=2, deadline_at=time.time() + 1e6)
    assert polling.wait_seconds(at_least=50) == 50
    near = Polling(first=1, longest=2, deadline_at=time.time() + 5)
    assert near.wait_seconds(at_least=50) <= 5

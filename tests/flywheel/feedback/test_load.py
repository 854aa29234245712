"""Lines of feedback into a live table, and what the log tells of them."""

from __future__ import annotations

import gzip
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.flywheel.feedback.load import LoadLine, load_feedback, wanted_traces
from include.flywheel.feedback.lookup import find_traces
from include.flywheel.logs.files import FileLogStore
from include.stores.feedback import FeedbackPlace, connect

SHARED = Path(__file__).parents[4] / "shared" / "data"
GOOD = {"query": "where is it?", "response": "On its way to you.", "model": "m", "rating": 1}


def line(**fields: Any) -> bytes:
    return json.dumps(GOOD | fields).encode()


def load(place: FeedbackPlace, lines: list[bytes], found: Any = None) -> Any:
    with closing(connect(place)) as connection:
        return load_feedback(connection, lines, found or {})


def ask(place: FeedbackPlace, statement: str) -> list[tuple[Any, ...]]:
    with closing(connect(place)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def test_every_line_is_stored_stored_already_or_rejected(feedback_place: FeedbackPlace) -> None:
    lines = [
        line(),
        line(user_id="u1", metadata={"a": [1]}, tools_called=["x"], timestamp="2026-11-20T10:00:00+02:00"),
        b'{"rating":1,"model":"m","response":"On its way to you.","query":"where is it?"}',
        b"{",
        b"[1]",
        line(rating=0),
        line(rating=True),
        line(category="rude"),
        line(query="nul\x00"),
        line(colour="red"),
        line(timestamp="2026-11-20T10:00:00"),
        json.dumps({"trace_id": "t9", "rating": 1, "model": "m"}).encode(),
    ]
    ledger = load(feedback_place, lines)
    assert (ledger.read, ledger.stored, ledger.already_stored, ledger.rejected_count) == (12, 2, 1, 9)
    assert ledger.rejected["not a JSON object"].count == 2
    assert "`query` is missing, and no log record has its trace" in ledger.rejected
    again = load(feedback_place, lines)
    assert (again.stored, again.already_stored) == (0, 3)
    [(when,)] = ask(feedback_place, "SELECT timestamp::text FROM feedback WHERE user_id = 'u1'")
    assert when == "2026-11-20 08:00:00+00"


def test_what_the_log_tells_fills_what_a_line_lacks(feedback_place: FeedbackPlace) -> None:
    told = {"t1": GOOD | {"client_id": "c", "workload_id": "w", "timestamp": "2026-11-01T00:00:00+00:00"}}
    bare = json.dumps({"trace_id": "t1", "rating": -1, "model": "mine"}).encode()
    assert wanted_traces([bare, line(trace_id="t2"), b"{", b"7"]) == {"t1"}
    assert load(feedback_place, [bare], told).stored == 1
    found = ask(feedback_place, "SELECT query, model, rating, client_id, timestamp::date::text FROM feedback")
    assert found == [("where is it?", "mine", -1, "c", "2026-11-01")]


_VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just({}) | st.just([])
)
_LINES = st.lists(
    st.one_of(
        st.binary(max_size=20).map(lambda content: content.replace(b"\n", b"")),
        st.dictionaries(st.sampled_from([*LoadLine.model_fields, "id", "other"]), _VALUES, max_size=6).map(
            lambda fields: json.dumps(GOOD | fields).encode()
        ),
    ),
    max_size=20,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=_LINES)
def test_no_line_breaks_the_load(feedback_place: FeedbackPlace, lines: list[bytes]) -> None:
    ledger = load(feedback_place, lines)
    assert ledger.read == len(lines) == ledger.stored + ledger.already_stored + ledger.rejected_count
    wanted_traces(lines)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data are not here")
def test_the_airline_feedback_loads_and_finds_its_records(
    feedback_place: FeedbackPlace, tmp_path: Path
) -> None:
    store = FileLogStore(tmp_path)
    with gzip.open(SHARED / "airline_logs.jsonl.gz") as logs:
        store.append(json.loads(one) for one in logs)
    lines = (SHARED / "airline_feedback.jsonl").read_bytes().splitlines()
    found = find_traces(store, "skyline", None, wanted_traces(lines))
    ledger = load(feedback_place, lines, found)
    assert (ledger.read, ledger.stored, ledger.rejected) == (200, 200, {})
    assert load(feedback_place, lines, found).already_stored == 200
    by_workload = ask(
        feedback_place,
        "SELECT workload_id, rating, count(*) FROM feedback GROUP BY 1, 2 ORDER BY 1, 2",
    )
    assert by_workload == [
        ("airline_replies", -1, 100),
        ("airline_replies", 1, 49),
        ("airline_tool_calls", -1, 16),
        ("airline_tool_calls", 1, 35),
    ]
    alone = find_traces(store, "skyline", "airline_tool_calls", wanted_traces(lines))
    assert len(alone) == 51
    assert json.loads(next(one["response"] for one in alone.values() if one["response"].startswith("[")))

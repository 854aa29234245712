"""For any sequence of writes: counters = view = count over the table, and so the rollups by day."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.stores.feedback import FeedbackPlace, connect

from .agreement import assert_all_agree, fold

COLUMNS: dict[str, st.SearchStrategy[Any]] = {
    "model": st.sampled_from(["m1", "m2"]),
    "rating": st.sampled_from([1, -1]),
    "intent": st.sampled_from([None, "", "code", "general"]),
    "project": st.sampled_from([None, "p"]),
    "category": st.sampled_from([None, "hallucination", "wrong_tool"]),
    "memory_used": st.integers(0, 2**63 - 1),
    "user_id": st.sampled_from([None, "ann", "bob", "cem"]),
    "session_id": st.sampled_from([None, "s1", "s2"]),
    # Midnight and the second before it, in UTC, whatever the session's own zone.
    "timestamp": st.builds(
        "2026-10-{:02} {}+00".format, st.integers(1, 4), st.sampled_from(["00:00:00", "11:00", "23:59:59"])
    ),
    "reason": st.sampled_from([None, "because"]),
}
ROW = st.fixed_dictionaries(COLUMNS)
CHANGES = st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=3, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: COLUMNS[name] for name in names})
)
WRITE = st.one_of(
    st.tuples(st.just("insert"), ROW),
    st.tuples(st.just("update"), st.tuples(st.integers(0, 30), CHANGES)),
    st.tuples(st.just("delete"), st.integers(0, 30)),
    st.tuples(st.just("update all"), CHANGES),
    st.tuples(st.just("erase"), st.sampled_from(["ann", "bob"])),
    st.tuples(st.just("fold"), st.integers(1, 3)),
    st.tuples(st.just("undone"), ROW),
    st.tuples(st.just("truncate"), st.none()),
)


@pytest.fixture
def connection(feedback_place: FeedbackPlace) -> Iterator[Any]:
    with closing(connect(feedback_place)) as made:
        made.autocommit = True
        yield made


def insert(cursor: Any, row: dict[str, Any]) -> None:
    names = ", ".join(f'"{name}"' for name in row)
    values = ", ".join(["%s"] * len(row))
    cursor.execute(
        f"INSERT INTO feedback (query, response, {names}) VALUES ('q', 'r', {values})", [*row.values()]
    )


def update(cursor: Any, changes: dict[str, Any], where: str, *values: Any) -> None:
    sets = ", ".join(f'"{name}" = %s' for name in changes)
    cursor.execute(f"UPDATE feedback SET {sets} WHERE {where}", [*changes.values(), *values])


def write(cursor: Any, what: str, of: Any) -> None:
    nth = "id = (SELECT id FROM feedback ORDER BY id OFFSET %s LIMIT 1)"
    if what == "insert":
        insert(cursor, of)
    elif what == "update":
        update(cursor, of[1], nth, of[0])
    elif what == "delete":
        cursor.execute(f"DELETE FROM feedback WHERE {nth}", (of,))
    elif what == "update all":
        update(cursor, of, "true")
    elif what == "erase":
        cursor.execute("DELETE FROM feedback WHERE user_id = %s", (of,))
    elif what == "fold":
        cursor.execute("SELECT fold_feedback(%s)", (of,))
    elif what == "truncate":
        cursor.execute("TRUNCATE feedback")
    else:
        cursor.execute("BEGIN")
        insert(cursor, of)
        fold(cursor)
        cursor.execute("ROLLBACK")


def any_writes(examples: int) -> Callable[[Any], Any]:
    """Examples of writes, in a session with its own time zone."""
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    zones = st.sampled_from(["UTC", "Asia/Kolkata", "America/Lima"])
    bounded = settings(max_examples=examples, deadline=None, suppress_health_check=checks)
    return lambda test: bounded(given(writes=st.lists(WRITE, max_size=14), zone=zones)(test))


def write_and_compare(connection: Any, writes: list[Any], zone: str) -> None:
    cursor = connection.cursor()
    cursor.execute("SELECT set_config('timezone', %s, false)", (zone,))
    cursor.execute("TRUNCATE feedback")
    for what, of in writes:
        write(cursor, what, of)
    assert_all_agree(cursor)


@any_writes(60)
def test_everything_that_is_counted_agrees_with_the_table(
    connection: Any, writes: list[Any], zone: str
) -> None:
    write_and_compare(connection, writes, zone)


@pytest.mark.slow
@any_writes(3_000)
def test_everything_that_is_counted_agrees_with_the_table_long(
    connection: Any, writes: list[Any], zone: str
) -> None:
    write_and_compare(connection, writes, zone)


def test_the_comparison_sees_a_lost_count(connection: Any) -> None:
    cursor = connection.cursor()
    row = {"model": "m", "rating": 1, "user_id": "ann", "timestamp": "2026-10-01 00:00+00"}
    for lost in (
        "UPDATE feedback_counters SET positive = positive + 1",
        "UPDATE feedback_daily SET negative = 1",
        "UPDATE feedback_last_days SET people = 2",
        "DELETE FROM feedback_seen",
    ):
        cursor.execute("TRUNCATE feedback")
        insert(cursor, row)
        assert_all_agree(cursor)
        cursor.execute(lost)
        with pytest.raises(AssertionError):
            assert_all_agree(cursor)
        cursor.execute("SELECT rebuild_feedback_rollups()")
        assert_all_agree(cursor)


def test_what_took_a_row_away_is_never_folded_before_what_brought_it(connection: Any) -> None:
    cursor = connection.cursor()
    for user in "abcde":
        insert(cursor, {"model": "m", "rating": 1, "user_id": user})
    cursor.execute("SELECT fold_feedback(3)")
    # Frees places before those of the rows that still wait: the deletion is written into one of them.
    cursor.execute("VACUUM feedback_pending")
    cursor.execute("DELETE FROM feedback WHERE user_id = 'e'")
    cursor.execute("SELECT ctid FROM feedback_pending WHERE sign = -1")
    assert cursor.fetchone() < ("(0,4)",)
    cursor.execute("SELECT fold_feedback(1)")
    cursor.execute("SELECT array_agg(who ORDER BY who), min(times) FROM feedback_seen")
    assert cursor.fetchone() == (["a", "b", "c", "d"], 1)
    assert_all_agree(cursor)


def test_writers_side_by_side_lose_no_count_and_do_not_deadlock(feedback_place: FeedbackPlace) -> None:
    """Transactions of several rows in any order, while another folds and merges all the time."""
    failed: list[BaseException] = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        try:
            with closing(connect(feedback_place)) as own:
                cursor = own.cursor()
                for _ in range(25):
                    for _ in range(rng.randint(1, 4)):
                        values = {"model": f"m{rng.randrange(3)}", "rating": rng.choice([1, -1])}
                        insert(cursor, values | {"intent": rng.choice([None, "code"]), "user_id": "ann"})
                    if rng.random() < 0.2:
                        own.rollback()
                    else:
                        own.commit()
        except BaseException as error:
            failed.append(error)

    def tidy() -> None:
        with closing(connect(feedback_place)) as own:
            own.autocommit = True
            while any(one.is_alive() for one in writers):
                own.cursor().execute("SELECT refresh_model_accuracy()")

    writers = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    tidying = threading.Thread(target=tidy)
    for one in (*writers, tidying):
        one.start()
    for one in (*writers, tidying):
        one.join()
    assert failed == []
    with closing(connect(feedback_place)) as own:
        cursor = own.cursor()
        assert_all_agree(cursor)
        # Of sessions that are over nothing is left but their sum; the server ends them in its own time.
        deadline = time.monotonic() + 20
        while shards(cursor) != [(0,)]:
            assert time.monotonic() < deadline
            cursor.execute("SELECT refresh_model_accuracy()")
        assert_all_agree(cursor)


def shards(cursor: Any) -> list[tuple[int]]:
    cursor.execute("SELECT DISTINCT shard FROM feedback_counters WHERE shard <> pg_backend_pid()")
    return list(cursor.fetchall())


def test_concurrent_writers_do_not_wait_for_each_other(feedback_place: FeedbackPlace) -> None:
    """A transaction that stays open holds no row that another submission of its group needs."""
    row = {"model": "m", "rating": 1, "intent": "code", "user_id": "ann", "session_id": "s"}
    with closing(connect(feedback_place)) as first, closing(connect(feedback_place)) as second:
        insert(first.cursor(), row)
        cursor = second.cursor()
        cursor.execute("SET lock_timeout = '2s'")
        insert(cursor, row)
        cursor.execute("SELECT fold_feedback()")
        second.commit()
        first.commit()
        assert_all_agree(cursor)


def test_the_application_role_can_do_what_the_api_needs_and_no_more(
    feedback_place: FeedbackPlace, feedback_server: Any
) -> None:
    with closing(connect(feedback_place)) as owner:
        cursor = owner.cursor()
        cursor.execute("CREATE ROLE flywheel_test_app")
        cursor.execute("SELECT grant_feedback_access('flywheel_test_app')")
        cursor.execute("SET ROLE flywheel_test_app")
        insert(cursor, {"model": "m", "rating": 1, "user_id": "ann"})
        cursor.execute("UPDATE feedback SET rating = -1, metadata = metadata || '{\"a\": 1}'")
        assert_all_agree(cursor)
        cursor.execute("DELETE FROM feedback")
        assert_all_agree(cursor)
        for refused in (
            "DELETE FROM feedback_counters",
            "DELETE FROM feedback_pending",
            "SELECT rebuild_feedback_rollups()",
            "SELECT add_feedback_count('m', '', '', 1, 1)",
            "SELECT grant_feedback_access('flywheel_test_app')",
            "INSERT INTO api_keys (name, digest) VALUES ('x', sha256('x'))",
            "TRUNCATE feedback",
            "DROP TABLE feedback",
        ):
            cursor.execute("SAVEPOINT before")
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(refused)
            cursor.execute("ROLLBACK TO before")
        owner.rollback()

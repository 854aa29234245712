"""The repository on a live PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from include.flywheel.errors import FeedbackError, FeedbackNotFound, KeyReused
from include.flywheel.feedback.export.run import note_file, user_digest
from include.flywheel.feedback.models import FeedbackCreate, FeedbackStored, FeedbackUpdate, Selection
from include.flywheel.feedback.repository import FeedbackRepository
from include.stores.feedback import FeedbackPlace, connect, open_feedback

from .agreement import assert_all_agree


@pytest.fixture
async def repository(feedback_place: FeedbackPlace) -> AsyncIterator[FeedbackRepository]:
    async with open_feedback(feedback_place) as opened:
        yield opened


def of(**changed: Any) -> FeedbackCreate:
    return FeedbackCreate(**{"query": "q", "response": "r", "model": "m", "rating": 1} | changed)


async def shift(place: FeedbackPlace, days: int, where: str = "true") -> None:
    with closing(connect(place)) as connection:
        connection.cursor().execute(
            f'UPDATE feedback SET "timestamp" = "timestamp" - make_interval(days => %s) WHERE {where}',
            (days,),
        )
        connection.commit()


def agree(place: FeedbackPlace) -> None:
    with closing(connect(place)) as connection:
        assert_all_agree(connection.cursor())


async def test_a_row_is_read_as_it_was_submitted(repository: FeedbackRepository) -> None:
    full = of(
        rating=-1,
        reason="'; DROP TABLE feedback; --",
        category="wrong_tool",
        expected_answer="ü 𝄞 \u2028",
        memory_used=2**63 - 1,
        tools_called=["a", 'b"{},\\'],
        user_id="ann",
        session_id="s",
        intent="code",
        project="p",
        metadata={"deep": [{"x": None, "y": 1.5}], "": True, "n": -(2**63) + 1},
        trace_id="t",
        client_id="acme",
        workload_id="desk",
    )
    before = datetime.now(UTC)
    receipt, is_new = await repository.submit(full)
    found = await repository.get(receipt.feedback_id)
    assert is_new
    assert FeedbackCreate(**{name: getattr(found, name) for name in FeedbackCreate.model_fields}) == full
    assert (found.id, found.rating, found.model) == (receipt.id, receipt.rating, receipt.model)
    assert before - timedelta(seconds=5) < found.timestamp == receipt.timestamp == found.updated_at
    assert found.timestamp.tzinfo is not None
    assert FeedbackStored.model_validate(found.__dict__) == found


async def test_a_thousand_submissions_with_one_key_at_once_are_one_row(
    repository: FeedbackRepository, feedback_place: FeedbackPlace
) -> None:
    answers = await asyncio.gather(*(repository.submit(of(), key="k", scope="a") for _ in range(1_000)))
    assert len({receipt.feedback_id for receipt, _ in answers}) == 1
    assert sum(is_new for _, is_new in answers) == 1
    other, is_new = await repository.submit(of(), key="k", scope="b")
    assert is_new
    assert other.feedback_id != answers[0][0].feedback_id
    [row] = await repository.accuracy(Selection())
    assert row.total_feedback == 2
    agree(feedback_place)


async def test_a_key_with_another_body_is_refused_until_its_row_is_gone(
    repository: FeedbackRepository,
) -> None:
    first, _ = await repository.submit(of(metadata={"a": 1, "b": 2}), key="k", scope="a")
    again, is_new = await repository.submit(of(metadata={"b": 2, "a": 1}), key="k", scope="a")
    assert (again, is_new) == (first, False)
    with pytest.raises(KeyReused, match="'k' came with another body before"):
        await repository.submit(of(rating=-1), key="k", scope="a")
    await repository.delete(first.feedback_id)
    _, is_new = await repository.submit(of(rating=-1), key="k", scope="a")
    assert is_new


async def test_an_update_changes_what_is_set_and_merges_metadata(
    repository: FeedbackRepository, feedback_place: FeedbackPlace
) -> None:
    receipt, _ = await repository.submit(of(metadata={"a": 1, "b": {"c": 1}}, reason="why", intent="code"))
    changes = FeedbackUpdate(rating=-1, reason=None, metadata={"b": 2, "d": None})
    changed = await repository.update(receipt.feedback_id, changes)
    found = await repository.get(receipt.feedback_id)
    assert (changed.rating, changed.timestamp) == (-1, receipt.timestamp)
    assert (found.rating, found.reason, found.intent) == (-1, None, "code")
    assert found.metadata == {"a": 1, "b": 2, "d": None}
    assert found.updated_at > found.timestamp
    [row] = await repository.accuracy(Selection())
    assert (row.negative_feedback, row.accuracy_percentage, row.intent, row.project) == (1, 0.0, "code", None)
    with pytest.raises(FeedbackNotFound):
        await repository.update(uuid4(), FeedbackUpdate(rating=1))
    agree(feedback_place)


async def test_metadata_cannot_grow_without_end(repository: FeedbackRepository) -> None:
    receipt, _ = await repository.submit(of(metadata={"a": "x" * 10_000}))
    with pytest.raises(FeedbackError, match="after merging; 16384 are allowed"):
        await repository.update(receipt.feedback_id, FeedbackUpdate(metadata={"b": "x" * 10_000}))
    assert list((await repository.get(receipt.feedback_id)).metadata) == ["a"]
    with pytest.raises(FeedbackNotFound):
        await repository.update(uuid4(), FeedbackUpdate(metadata={"b": 1}))


async def test_a_caller_of_one_project_sees_that_project_only(repository: FeedbackRepository) -> None:
    receipt, _ = await repository.submit(of(project="theirs"))
    for attempt in (
        repository.get(receipt.feedback_id, "mine"),
        repository.update(receipt.feedback_id, FeedbackUpdate(rating=-1), "mine"),
        repository.update(receipt.feedback_id, FeedbackUpdate(metadata={"a": 1}), "mine"),
        repository.delete(receipt.feedback_id, "mine"),
    ):
        with pytest.raises(FeedbackNotFound):
            await attempt
    assert (await repository.get(receipt.feedback_id, "theirs")).rating == 1


async def test_statistics_count_whole_days_and_distinct_people(
    repository: FeedbackRepository, feedback_place: FeedbackPlace
) -> None:
    old = of(user_id="ann", session_id="s1", intent="code", memory_used=100)
    await repository.submit(old)
    await shift(feedback_place, 20)
    await repository.submit(of(user_id="ann", session_id="s2", rating=-1, category="hallucination"))
    await repository.submit(of(user_id="bob", session_id="s2", model="n", memory_used=50))
    week = await repository.stats(Selection(), 7)
    assert (week.total_feedback, week.positive_count, week.negative_count) == (2, 1, 1)
    assert (week.positive_percentage, week.avg_memory_used) == (50.0, 25.0)
    assert (week.unique_users, week.unique_sessions) == (2, 1)
    assert (week.category_counts, week.days, week.filters) == ({"hallucination": 1}, 7, {})
    month = await repository.stats(Selection(), 30)
    assert (month.total_feedback, month.unique_users, month.unique_sessions) == (3, 2, 2)
    assert (await repository.stats(Selection(), 19)).total_feedback == 2
    assert (await repository.stats(Selection(), 20)).total_feedback == 3
    code = await repository.stats(Selection(model="m", intent="code"), 30)
    assert (code.total_feedback, code.unique_users) == (1, 1)
    assert code.filters == {"model": "m", "intent": "code"}
    nobody = await repository.stats(Selection(project="' OR 1=1 --"), 30)
    assert (nobody.total_feedback, nobody.positive_percentage, nobody.unique_users) == (0, 0.0, 0)


async def test_erasing_a_user_leaves_no_trace_and_names_the_files(
    repository: FeedbackRepository, feedback_place: FeedbackPlace
) -> None:
    kept, _ = await repository.submit(of(user_id="bob", session_id="s"))
    for number in range(3):
        await repository.submit(of(user_id="ann", session_id=f"ann-{number}"), key=f"{number}", scope="a")
    await repository.stats(Selection(), 7)
    with closing(connect(feedback_place)) as connection:
        for path, users in (("with.jsonl", ["ann", "bob"]), ("without.jsonl", ["bob"])):
            note_file(
                connection,
                kind="export",
                path=path,
                digest=path,
                start=None,
                end=None,
                filters={},
                rows=1,
                users=[user_digest(one) for one in users],
            )
        connection.commit()
    erased = await repository.erase_user("ann")
    assert erased.deleted == 3
    assert [one.path for one in erased.exports] == ["with.jsonl"]
    again = await repository.erase_user("ann")
    assert (again.deleted, [one.path for one in again.exports]) == (0, ["with.jsonl"])
    with closing(connect(feedback_place)) as connection:
        cursor = connection.cursor()
        cursor.execute(
            "SELECT (SELECT count(*) FROM feedback_seen WHERE who LIKE 'ann%'), "
            "(SELECT count(*) FROM feedback_pending), (SELECT array_agg(feedback_id::text) FROM feedback)"
        )
        assert cursor.fetchone() == (0, 0, [str(kept.feedback_id)])
    agree(feedback_place)


async def test_old_rows_are_handed_over_oldest_first_and_then_deleted(
    repository: FeedbackRepository, feedback_place: FeedbackPlace
) -> None:
    for number in range(25):
        await repository.submit(of(query=f"old {number}", user_id=f"u{number}"))
    await shift(feedback_place, 400)
    new, _ = await repository.submit(of(query="new"))
    before = datetime.now(UTC) - timedelta(days=365)
    got: list[list[FeedbackStored]] = []

    async def write(rows: list[FeedbackStored]) -> None:
        if len(got) == 2:
            raise OSError("disk full")
        got.append(rows)

    with pytest.raises(OSError, match="disk full"):
        await repository.archive_before(before, write, batch_rows=10)
    assert [row.query for rows in got for row in rows] == [f"old {number}" for number in range(20)]
    [row] = await repository.accuracy(Selection())
    assert row.total_feedback == 6

    async def write_rest(rows: list[FeedbackStored]) -> None:
        got.append(rows)

    assert await repository.archive_before(before, write_rest, batch_rows=10) == 5
    assert await repository.archive_before(before, write_rest) == 0
    assert len({row.feedback_id for rows in got for row in rows}) == 25
    assert (await repository.get(new.feedback_id)).query == "new"
    agree(feedback_place)


async def test_the_weekly_dataset_corrects_disliked_answers(
    repository: FeedbackRepository, feedback_place: FeedbackPlace
) -> None:
    await repository.submit(of(query="old"))
    await shift(feedback_place, 8)
    await repository.submit(of(query="up", expected_answer="not used"))
    await repository.submit(of(query="down", rating=-1, expected_answer="better"))
    await repository.submit(of(query="plain down", rating=-1))
    with closing(connect(feedback_place)) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT query, target, weight FROM get_weekly_finetuning_dataset()")
        assert cursor.fetchall() == [("up", "r", 2.0), ("down", "better", 0.5), ("plain down", "r", 0.5)]

"""NIMs that runs share: who comes, who goes, and who turns off the light."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from pymongo.database import Database

from include.flywheel.runs.shared import SharedNim, SharedNims

MODEL = "meta/llama-3.1-8b-instruct"


@pytest.fixture
def shared(mongo_database: Database[dict[str, Any]]) -> SharedNims:
    return SharedNims(mongo_database)


def joined(shared: SharedNims, job: str) -> SharedNim:
    nim = shared.join("judge", MODEL, job)
    assert nim is not None
    return nim


def test_the_last_one_to_leave_has_to_take_it_down(shared: SharedNims) -> None:
    first = joined(shared, "a")
    assert joined(shared, "a").users == first.users, "joining twice is joining once"
    assert joined(shared, "b").deployment == first.deployment == "fw-judge-meta-llama-3-1-8b-instruct-1"
    assert not shared.leave("judge", MODEL, "a").closing
    assert [nim.key for nim in shared.used_by("b")] == [f"judge/{MODEL}"]
    assert shared.leave("judge", MODEL, "b").closing
    assert shared.used_by("b") == []


def test_nobody_joins_what_is_going(shared: SharedNims) -> None:
    nim = joined(shared, "a")
    gone = shared.leave("judge", MODEL, "a")
    assert shared.join("judge", MODEL, "b") is None
    shared.closed(gone)
    assert shared.all() == []
    again = joined(shared, "b")
    assert again.generation == nim.generation + 1
    assert again.deployment != nim.deployment


def test_who_comes_late_with_the_end_of_an_earlier_one_ends_nothing(shared: SharedNims) -> None:
    joined(shared, "a")
    gone = shared.leave("judge", MODEL, "a")
    shared.closed(gone)
    joined(shared, "b")
    shared.closed(gone)
    assert [nim.generation for nim in shared.used_by("b")] == [2]


def test_leaving_what_one_never_joined_changes_nothing(shared: SharedNims) -> None:
    assert not shared.leave("judge", MODEL, "nobody").closing
    joined(shared, "a")
    assert not shared.leave("judge", MODEL, "nobody").closing


def test_other_purposes_and_models_are_others(shared: SharedNims) -> None:
    joined(shared, "a")
    assert shared.join("embedding", MODEL, "a") is not None
    assert shared.leave("embedding", MODEL, "a").closing
    assert [nim.purpose for nim in shared.used_by("a")] == ["judge"]


def test_many_at_once_are_all_counted(shared: SharedNims) -> None:
    jobs = [f"job-{number}" for number in range(12)]
    closing: list[bool] = []

    def use(job: str) -> None:
        joined(shared, job)
        barrier.wait()
        closing.append(shared.leave("judge", MODEL, job).closing)

    barrier = threading.Barrier(len(jobs))
    threads = [threading.Thread(target=use, args=[job]) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(closing) == len(jobs)
    assert closing.count(True) >= 1
    [left] = shared.all()
    assert (left.users, left.closing) == ({}, True)

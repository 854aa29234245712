"""The ledger of the leases on the MongoDB wire."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pymongo.database import Database

from include.flywheel.errors import LeaseRefused, StateError
from include.flywheel.runs.leases.model import LeaseKind, LeaseRequest, Waiting
from include.flywheel.runs.leases.repository import LeaseRepository

T, S = LeaseKind.TRAINING, LeaseKind.SERVING


def request(slug: str, kind: LeaseKind = T, gpus: int = 2, **changes: Any) -> LeaseRequest:
    fields: dict[str, Any] = {"job_id": "run", "total": 4, "try_number": 1}
    return LeaseRequest(slug=slug, kind=kind, gpus=gpus, **{**fields, **changes})


def names(found: list[Any]) -> list[tuple[str, str]]:
    return [(one.slug, one.kind.value) for one in found]


def version(database: Database[dict[str, Any]]) -> int:
    found = database["leases"].find_one({"_id": "gpus"})
    assert found is not None
    number: int = found["version"]
    return number


def test_a_release_grants_what_waits_without_anybody_asking(leases: LeaseRepository) -> None:
    assert leases.take(request("a")).granted
    assert leases.take(request("b")).granted
    answer = leases.take(request("c"))
    assert (answer.granted, answer.reason) == (
        False,
        "0 of 4 GPUs are free, needs 2; 0 requests are before it",
    )
    leases.release("run", "a")
    assert names(leases.held()) == [("b", "training"), ("c", "training")]
    granted = leases.take(request("c")).lease
    assert granted is not None
    assert granted.asked_at <= granted.granted_at


@pytest.mark.parametrize("slug", ["a", "c"], ids=["held", "waiting"])
def test_asking_again_writes_nothing(
    leases: LeaseRepository, mongo_database: Database[dict[str, Any]], slug: str
) -> None:
    for one in "abc":
        leases.take(request(one))
    before = version(mongo_database)
    assert leases.take(request(slug)) == leases.take(request(slug))
    assert version(mongo_database) == before


def test_release_is_of_one_kind_or_of_both(leases: LeaseRepository) -> None:
    for kind in (T, S):
        leases.take(request("a", kind))
        leases.take(request("b", kind))
    leases.release("run", "a", T)
    leases.release("run", "a", T)
    assert names(leases.held()) == [("b", "training"), ("a", "serving")]
    leases.release("run", "b")
    assert names(leases.held() + leases.waiting()) == [("a", "serving")]


def test_a_closed_nim_gives_everything_back_and_is_refused(leases: LeaseRepository) -> None:
    leases.take(request("a", gpus=4))
    leases.take(request("a", S))
    leases.close("run", "a", 1)
    leases.close("run", "a", 1)
    assert leases.held() + leases.waiting() == []
    with pytest.raises(LeaseRefused, match="taken down at try 1"):
        leases.take(request("a", S))
    assert leases.take(request("a", try_number=2)).granted


def test_nothing_of_a_forgotten_run_stays(
    leases: LeaseRepository, mongo_database: Database[dict[str, Any]]
) -> None:
    leases.take(request("a"))
    leases.close("run", "b", 1)
    leases.take(request("c", gpus=4))
    leases.forget("run")
    leases.forget("run")
    [document] = mongo_database["leases"].find()
    assert "run" not in document["state"].replace("run_order", "")
    assert leases.take(request("b")).granted


def test_forget_takes_back_from_a_run_that_is_over_and_from_no_other(leases: LeaseRepository) -> None:
    leases.take(request("a", job_id="dead", gpus=4))
    leases.take(request("b", job_id="dead"))
    leases.take(request("c", job_id="live"))
    leases.forget("dead")
    assert names(leases.held()) == [("c", "training")]
    assert leases.waiting() == []


def test_a_refused_request_leaves_nothing(leases: LeaseRepository) -> None:
    with pytest.raises(LeaseRefused, match=r"raise `gpus\.total`"):
        leases.take(request("large", gpus=5))
    assert leases.held() + leases.waiting() == []


def test_a_ledger_that_is_gone_is_begun_again(
    leases: LeaseRepository, mongo_database: Database[dict[str, Any]]
) -> None:
    mongo_database["leases"].drop()
    assert leases.take(request("a")).granted


def test_a_ledger_of_another_schema_is_not_overwritten(
    leases: LeaseRepository, mongo_database: Database[dict[str, Any]]
) -> None:
    mongo_database["leases"].update_one({"_id": "gpus"}, {"$set": {"state": '{"novelty": 1}'}})
    with pytest.raises(StateError, match="document 'gpus' in the collection `leases` is not a ledger"):
        leases.take(request("a"))


def test_threads_that_ask_at_once_lose_no_request(leases: LeaseRepository) -> None:
    slugs = [f"nim-{number:02}" for number in range(24)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda slug: leases.take(request(slug)), slugs))
    assert len(leases.held()) == 2
    assert sorted(one.slug for one in leases.held() + leases.waiting()) == slugs
    orders = [one.order for one in leases.waiting()]
    assert orders == sorted({*orders})
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda slug: leases.release("run", slug), slugs))
    assert leases.held() + leases.waiting() == []


def test_processes_that_compete_never_hold_more_than_there_is(
    leases: LeaseRepository, compete: Callable[..., Any]
) -> None:
    competitors = [compete(f"run-{gpus}", nims=6, gpus=gpus, total=4) for gpus in (1, 2, 3, 4)]
    said = [competitor.communicate(timeout=30)[0].splitlines() for competitor in competitors]
    assert [len(lines) for lines in said] == [12, 12, 12, 12]
    spans = [[float(word) for word in line.split()[1:]] for lines in said for line in lines]
    for begun, _, _ in spans:
        assert sum(gpus for start, end, gpus in spans if start <= begun < end) <= 4
    assert leases.held() + leases.waiting() == []


def test_what_waits_is_shown_in_the_order_of_asking(leases: LeaseRepository) -> None:
    leases.take(request("x", gpus=4))
    for slug in "cab":
        leases.take(request(slug))
    waiting: list[Waiting] = leases.waiting()
    assert [(one.slug, one.overtaken) for one in waiting] == [("c", 0), ("a", 0), ("b", 0)]

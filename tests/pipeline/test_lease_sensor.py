"""The wait for GPUs: granted, refused, given up, and never in anybody's way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from airflow.triggers.base import TaskFailedEvent, TaskSuccessEvent, TriggerEvent

from include.flywheel.runs import ids
from include.flywheel.runs.leases.model import LeaseKind, LeaseRequest
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import StageName, StageStatus
from include.pipeline.lease_sensor import LeaseTrigger
from include.pipeline.leases import ask, begin
from include.stores.leases import open_leases

JOB = ids.job_id("flywheel_x", "r")
LATER = 3600.0


@pytest.fixture
def opened(open_run: Callable[..., RunRepository]) -> RunRepository:
    return open_run({"first": "meta/first", "second": "meta/second"})


def request(slug: str, gpus: int = 1, total: int = 1, kind: LeaseKind = LeaseKind.TRAINING) -> LeaseRequest:
    return LeaseRequest(job_id=JOB, slug=slug, kind=kind, gpus=gpus, total=total, try_number=1)


def asked(runs: RunRepository, wanted: LeaseRequest) -> LeaseRequest:
    runs.ask_lease(JOB, wanted.slug, wanted.kind.value, wanted.gpus)
    return wanted


def trigger(wanted: LeaseRequest, seconds: float = LATER) -> LeaseTrigger:
    return LeaseTrigger(wanted.model_dump(mode="json"), time.time() + seconds)


async def end_of(waiting: LeaseTrigger) -> TriggerEvent:
    [event] = [event async for event in waiting.run()]
    return event


async def test_it_waits_until_the_gpus_are_given_back(opened: RunRepository) -> None:
    assert ask(asked(opened, request("first"))).granted
    waiting = asyncio.create_task(end_of(trigger(asked(opened, request("second")))))
    while not open_leases().waiting():
        await asyncio.sleep(0.01)
    assert not waiting.done()
    while (lease := opened.nim(JOB, "second").leases["training"]).detail is None:
        await asyncio.sleep(0.01)
    assert "0 of 1 GPU are free" in lease.detail
    open_leases().release(JOB, "first")
    assert isinstance(await asyncio.wait_for(waiting, 20), TaskSuccessEvent)
    lease = opened.nim(JOB, "second").leases["training"]
    assert lease.granted_at is not None
    assert lease.asked_at <= lease.granted_at
    assert lease.detail is None


async def test_what_can_never_be_granted_fails_at_once_and_says_so(opened: RunRepository) -> None:
    event = await end_of(trigger(asked(opened, request("first", gpus=2))))
    assert isinstance(event, TaskFailedEvent)
    stage = opened.nim(JOB, "first").stages[StageName.CUSTOMIZE]
    assert stage.status is StageStatus.FAILED
    assert "`gpus.total` is 1" in (stage.error or "")


async def test_a_nim_that_was_taken_down_gets_nothing_any_more(opened: RunRepository) -> None:
    open_leases().close(JOB, "first", 1)
    event = await end_of(trigger(asked(opened, request("first"))))
    assert isinstance(event, TaskFailedEvent)
    assert open_leases().held() == []


async def test_after_its_deadline_it_leaves_the_line(opened: RunRepository) -> None:
    assert ask(asked(opened, request("first"))).granted
    event = await end_of(trigger(asked(opened, request("second")), seconds=0))
    assert isinstance(event, TaskFailedEvent)
    error = opened.nim(JOB, "second").stages[StageName.CUSTOMIZE].error or ""
    assert "until the deadline: 0 of 1 GPU are free" in error
    assert "lease_timeout_seconds" in error
    assert open_leases().waiting() == []


async def test_a_killed_wait_leaves_the_line(opened: RunRepository) -> None:
    assert ask(asked(opened, request("first"))).granted
    waiting = trigger(asked(opened, request("second")))
    ask(request("second"))
    await waiting.on_kill()
    assert [lease.slug for lease in open_leases().held()] == ["first"]
    assert open_leases().waiting() == []


def test_what_cannot_be_submitted_with_the_grant_is_left_to_the_next_task(
    runs: RunRepository, caplog: pytest.LogCaptureFixture
) -> None:
    begin(request("first"))
    assert "customize is left to the next task" in caplog.text


async def test_a_wait_of_an_earlier_pass_takes_nothing_from_a_later_one(opened: RunRepository) -> None:
    late = trigger(asked(opened, request("first")))
    later = request("first").model_copy(update={"try_number": 2})
    open_leases().close(JOB, "first", 1)
    assert ask(later).granted
    await late.on_kill()
    assert isinstance(await end_of(late), TaskFailedEvent)
    assert [lease.try_number for lease in open_leases().held()] == [2]


def test_another_process_can_build_it_again(opened: RunRepository) -> None:
    path, arguments = trigger(request("first")).serialize()
    assert path == "include.pipeline.lease_sensor.LeaseTrigger"
    again: Any = LeaseTrigger(**arguments)
    assert again.serialize() == (path, arguments)

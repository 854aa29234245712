"""The wait of a stage: for its GPUs, in nobody's way, then for what is submitted with the grant."""

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
from include.pipeline.leases import KINDS, ask
from include.pipeline.stage_trigger import StageTrigger
from include.stores.leases import open_leases

from .conftest import FakeNemo

JOB = ids.job_id("flywheel_x", "r")
LATER = 3600.0
NAME = "meta/llama-3.2-3b-instruct"
SECOND = "meta-llama-3.2-3b-instruct"
STAGES = {kind: stage for stage, kind in KINDS.items()}


@pytest.fixture
def opened(open_run: Callable[..., RunRepository], resolved: dict[str, Any]) -> RunRepository:
    return open_run({"first": "meta/first", SECOND: NAME}, resolved=resolved)


def request(
    slug: str, gpus: int = 1, total: int = 1, kind: LeaseKind = LeaseKind.TRAINING, try_number: int = 1
) -> LeaseRequest:
    return LeaseRequest(job_id=JOB, slug=slug, kind=kind, gpus=gpus, total=total, try_number=try_number)


def trigger(wanted: LeaseRequest, seconds: float = LATER, **more: Any) -> StageTrigger:
    stage = STAGES[wanted.kind]
    extra = {"job_id": JOB, "slug": wanted.slug, "stage": stage.value, "pass_number": wanted.try_number - 1}
    return StageTrigger(
        kind="deployment" if stage is StageName.DEPLOY else "customization",
        job="",
        poll_seconds=0.05,
        max_poll_seconds=0.1,
        extra=extra,
        lease=wanted.model_dump(mode="json"),
        lease_deadline_at=time.time() + seconds,
        **more,
    )


async def end_of(waiting: StageTrigger) -> TriggerEvent:
    [event] = [event async for event in waiting.run()]
    return event


async def until(ready: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not ready():
            await asyncio.sleep(0.01)


def error_of(event: TriggerEvent) -> str:
    assert isinstance(event, TaskFailedEvent)
    return str((event.xcoms or {})["error"])


async def test_what_the_gpus_are_for_is_submitted_with_the_grant(
    opened: RunRepository, fake_nemo: FakeNemo
) -> None:
    assert ask(request("first")).granted
    waiting = asyncio.create_task(end_of(trigger(request(SECOND))))
    await until(lambda: bool((lease := opened.nim(JOB, SECOND).leases.get("training")) and lease.detail))
    assert "0 of 1 GPU are free" in (opened.nim(JOB, SECOND).leases["training"].detail or "")
    assert fake_nemo.customizations == []
    open_leases().release(JOB, "first")
    await until(lambda: bool(fake_nemo.customizations))
    lease = opened.nim(JOB, SECOND).leases["training"]
    assert lease.granted_at is not None
    assert lease.asked_at <= lease.granted_at
    assert lease.detail is None
    fake_nemo.state = "completed"
    assert isinstance(await asyncio.wait_for(waiting, 20), TaskSuccessEvent)
    assert open_leases().held() == []
    assert opened.stage(JOB, SECOND, StageName.CUSTOMIZE).status is StageStatus.COMPLETED


async def test_after_a_restart_it_follows_what_it_had_submitted(
    opened: RunRepository, fake_nemo: FakeNemo
) -> None:
    first = asyncio.create_task(end_of(trigger(request(SECOND))))
    await until(lambda: opened.stage(JOB, SECOND, StageName.CUSTOMIZE).submitted_at is not None)
    first.cancel()
    fake_nemo.state = "completed"
    # Its GPUs may be somebody else's by now: it must not ask for any.
    open_leases().release(JOB, SECOND)
    assert ask(request("first")).granted
    assert isinstance(await end_of(trigger(request(SECOND))), TaskSuccessEvent)
    assert len(fake_nemo.customizations) == 1


async def test_serving_does_not_ask_before_training_has_gpus(opened: RunRepository) -> None:
    serving = request(SECOND, total=4, kind=LeaseKind.SERVING)
    assert "its training" in ask(serving).reason
    assert open_leases().waiting() == []
    assert "serving" not in opened.nim(JOB, SECOND).leases
    assert ask(request(SECOND, total=4)).granted
    assert ask(serving).granted


async def test_serving_asks_once_training_is_over_or_not_due(opened: RunRepository) -> None:
    opened.set_stage(JOB, SECOND, StageName.CUSTOMIZE, status=StageStatus.SKIPPED.value)
    assert ask(request(SECOND, kind=LeaseKind.SERVING)).granted


async def test_what_can_never_be_granted_fails_at_once_and_says_so(
    opened: RunRepository, fake_nemo: FakeNemo
) -> None:
    event = await end_of(trigger(request("first", gpus=2)))
    assert "`gpus.total` is 1" in error_of(event)
    stage = opened.nim(JOB, "first").stages[StageName.CUSTOMIZE]
    assert stage.status is StageStatus.FAILED
    assert "`gpus.total` is 1" in (stage.error or "")


async def test_a_nim_that_was_taken_down_gets_nothing_any_more(
    opened: RunRepository, fake_nemo: FakeNemo
) -> None:
    open_leases().close(JOB, "first", 1)
    assert isinstance(await end_of(trigger(request("first"))), TaskFailedEvent)
    assert open_leases().held() == []
    assert fake_nemo.customizations == []


async def test_after_its_deadline_it_leaves_the_line(opened: RunRepository, fake_nemo: FakeNemo) -> None:
    assert ask(request("first")).granted
    event = await end_of(trigger(request(SECOND), seconds=0))
    assert "until the deadline: 0 of 1 GPU are free" in error_of(event)
    error = opened.nim(JOB, SECOND).stages[StageName.CUSTOMIZE].error or ""
    assert "lease_timeout_seconds" in error
    assert open_leases().waiting() == []


async def test_a_killed_wait_leaves_the_line(opened: RunRepository) -> None:
    assert ask(request("first")).granted
    waiting = trigger(request(SECOND))
    ask(request(SECOND))
    await waiting.on_kill()
    assert [lease.slug for lease in open_leases().held()] == ["first"]
    assert open_leases().waiting() == []


async def test_a_submit_that_is_refused_gives_the_gpus_to_others(
    opened: RunRepository, fake_nemo: FakeNemo
) -> None:
    fake_nemo.refuses = True
    event = await end_of(trigger(request(SECOND)))
    assert "no such target" in error_of(event)
    assert open_leases().held() == []
    stage = opened.stage(JOB, SECOND, StageName.CUSTOMIZE)
    assert stage.status is StageStatus.FAILED
    assert "no such target" in (stage.error or "")


async def test_a_training_that_is_overdue_is_ended_before_its_gpus_go_to_others(
    opened: RunRepository, fake_nemo: FakeNemo
) -> None:
    event = await end_of(trigger(request(SECOND), timeout_seconds=0.2))
    assert "did not end within" in error_of(event)
    assert fake_nemo.state == "cancelled"
    assert open_leases().held() == []


async def test_what_must_be_first_and_fails_is_the_reason(opened: RunRepository, fake_nemo: FakeNemo) -> None:
    extra = {"job_id": JOB, "slug": SECOND, "stage": StageName.ADAPTER.value, "pass_number": 0}
    first = StageTrigger(kind="deployment", job="flywheel/gone", poll_seconds=0.05, extra=extra)
    waiting = StageTrigger(
        kind="evaluation",
        job="",
        extra=extra | {"stage": StageName.CUSTOMIZED_EVAL.value},
        first=first.arguments(),
    )
    assert "does not exist" in error_of(await end_of(waiting))
    assert opened.stage(JOB, SECOND, StageName.ADAPTER).status is StageStatus.FAILED
    assert StageName.CUSTOMIZED_EVAL not in opened.nim(JOB, SECOND).stages


async def test_a_wait_of_an_earlier_pass_takes_nothing_from_a_later_one(
    opened: RunRepository, fake_nemo: FakeNemo
) -> None:
    late = trigger(request("first"))
    open_leases().close(JOB, "first", 1)
    assert ask(request("first", try_number=2)).granted
    await late.on_kill()
    assert isinstance(await end_of(late), TaskFailedEvent)
    assert [lease.try_number for lease in open_leases().held()] == [2]


def test_another_process_can_build_it_again(opened: RunRepository) -> None:
    path, arguments = trigger(request("first")).serialize()
    assert path == "include.pipeline.stage_trigger.StageTrigger"
    again: Any = StageTrigger(**arguments)
    assert again.serialize() == (path, arguments)

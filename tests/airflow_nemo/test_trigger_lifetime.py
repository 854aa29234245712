from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from airflow.serialization.decoders import smart_decode_trigger_kwargs
from airflow.serialization.encoders import encode_trigger
from airflow.triggers.base import TaskSuccessEvent, TriggerEvent

from include.airflow_nemo.triggers import NemoJobTrigger, NemoRemovalTrigger

EVALUATION = "GET /v1/evaluation/jobs/eval-1"
DEPLOYMENT = "GET /v1/deployment/model-deployments/ns/d"
RUNNING = {"id": "eval-1", "status": "running"}
FAST: dict[str, Any] = {"poll_seconds": 0.01, "max_poll_seconds": 0.02, "timeout_seconds": 10.0}


async def _until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.002)


async def _events(trigger: NemoJobTrigger) -> list[TriggerEvent]:
    return [event async for event in trigger.run()]


def _stored(trigger: NemoJobTrigger) -> NemoJobTrigger:
    """The trigger as another triggerer builds it from the database."""
    path, arguments = trigger.serialize()
    stored = json.loads(json.dumps(encode_trigger({"classpath": path, "kwargs": arguments})["kwargs"]))
    kwargs = {name: smart_decode_trigger_kwargs(value) for name, value in stored.items()}
    return type(trigger)(**kwargs)


@pytest.mark.parametrize(
    ("kind", "job", "stopped"),
    [
        ("evaluation", "eval-1", "POST /v1/evaluation/jobs/eval-1/cancel"),
        ("customization", "cust-1", "POST /v1/customization/jobs/cust-1/cancel"),
        ("deployment", "ns/d", "DELETE /v1/deployment/model-deployments/ns/d"),
    ],
)
@pytest.mark.parametrize("answer", [{}, (404, {"detail": "gone"}), (409, {"detail": "ended"}), (500, {})])
def test_on_kill_stops_the_work_and_never_raises(
    nemo: Any, kind: str, job: str, stopped: str, answer: Any
) -> None:
    nemo.will(stopped, answer, {})
    asyncio.run(NemoJobTrigger(kind=kind, job=job, **FAST).on_kill())
    assert stopped in nemo.seen


def test_a_trigger_that_is_taken_away_leaves_the_job_alone(nemo: Any) -> None:
    nemo.will(EVALUATION, RUNNING)

    async def cancelled() -> None:
        trigger = NemoJobTrigger(kind="evaluation", job="eval-1", **FAST)

        async def consume() -> None:
            async for _ in trigger.run():
                raise AssertionError("a cancelled trigger has nothing to say")

        task = asyncio.create_task(consume())
        await _until(lambda: nemo.seen)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert set(nemo.seen) == {EVALUATION}


@pytest.mark.parametrize("kind", [NemoJobTrigger, NemoRemovalTrigger])
def test_a_trigger_comes_back_from_the_database_as_it_was(kind: type[NemoJobTrigger]) -> None:
    extra = {"run_id": "r", "stage": "base_eval"}
    trigger = kind(kind="evaluation", job="eval-1", served_model="m", extra=extra, deadline_at=7.5, **FAST)
    assert trigger.serialize()[0] == f"include.airflow_nemo.triggers.{kind.__name__}"
    assert _stored(trigger).serialize() == trigger.serialize()


def test_a_wait_goes_on_in_another_triggerer_with_its_deadline(nemo: Any) -> None:
    nemo.will(EVALUATION, RUNNING)
    deadline_at = time.time() + 10
    trigger = NemoJobTrigger(kind="evaluation", job="eval-1", deadline_at=deadline_at, **FAST)

    async def until_the_triggerer_dies() -> None:
        waiting = asyncio.create_task(_events(trigger))
        await _until(lambda: len(nemo.seen) > 2)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(until_the_triggerer_dies())
    nemo.will(EVALUATION, RUNNING, {"id": "eval-1", "status": "completed"})
    again = _stored(trigger)
    assert again.deadline_at == deadline_at
    (event,) = asyncio.run(_events(again))
    assert isinstance(event, TaskSuccessEvent)
    assert (event.xcoms or {})["return_value"] == "eval-1"
    assert set(nemo.seen) == {EVALUATION}


def test_a_removal_ends_when_the_deployment_is_gone(nemo: Any) -> None:
    there = {"name": "d", "namespace": "ns", "status_details": {"status": "ready"}}
    nemo.will(DEPLOYMENT, there, (503, {"detail": "starting"}), there, (404, {"detail": "gone"}))
    (event,) = asyncio.run(_events(NemoRemovalTrigger(kind="deployment", job="ns/d", **FAST)))
    assert isinstance(event, TaskSuccessEvent)
    assert (event.xcoms or {})["return_value"] == "ns/d"
    assert nemo.seen == [DEPLOYMENT] * 4


def test_killing_a_removal_asks_for_nothing(nemo: Any) -> None:
    asyncio.run(NemoRemovalTrigger(kind="deployment", job="ns/d", **FAST).on_kill())
    assert nemo.seen == []

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from include.flywheel.evaluation.verdict import decide
from include.flywheel.report.notification import (
    Event,
    NotificationInput,
    WinnerDetails,
    encode,
    event_id,
    payload,
)

MOMENT = datetime(2026, 3, 1, 12, 0, 30, 250_000, tzinfo=UTC)
RUN = {
    "run_id": "manual__1",
    "job_id": "0123456789abcdef01234567",
    "client_id": "acme",
    "workload_id": "support",
    "occurred_at": MOMENT,
    "report_url": "http://flywheel.test/runs/1",
}


def test_a_run_with_a_winner_says_all_that_the_contract_names(inputs):
    details = WinnerDetails(customized_model="flywheel/small@cust-1", files_url="hf://models/flywheel/small")
    body = payload(
        NotificationInput(event=Event.RUN_COMPLETED, decision=decide(inputs()), winner_details=details, **RUN)
    )

    low, high = body["winner"].pop("interval")
    assert 0.86 < low < 0.92 < high < 0.96
    assert body == {
        "schema_version": 1,
        "event": "run.completed",
        "event_id": event_id(RUN["job_id"], Event.RUN_COMPLETED),
        "occurred_at": "2026-03-01T12:00:30.250Z",
        "run_id": "manual__1",
        "job_id": "0123456789abcdef01234567",
        "client_id": "acme",
        "workload_id": "support",
        "verdict": "PROMOTABLE",
        "winner": {
            "model_name": "meta/small",
            "stage": "customized",
            "customized_model": "flywheel/small@cust-1",
            "files_url": "hf://models/flywheel/small",
            "score": 0.92,
            "cost_per_1000_tokens": None,
            "saving_percent": None,
        },
        "reference": {"model_name": "acme/agent", "score": 0.9},
        "candidates": [
            {"model_name": "meta/small", "stage": "base", "verdict": "REJECTED", "score": 0.2},
            {"model_name": "meta/small", "stage": "customized", "verdict": "PROMOTABLE", "score": 0.92},
        ],
        "report_url": "http://flywheel.test/runs/1",
    }


def test_a_run_without_a_winner_says_why(inputs):
    decision = decide(inputs(reference=None))
    body = payload(NotificationInput(event=Event.RUN_COMPLETED, decision=decision, **RUN))

    assert "winner" not in body
    assert (body["verdict"], body["reference"]) == ("INCONCLUSIVE", None)
    assert body["reason"] == decision.reason
    assert "min_quality" in body["reason"]


@pytest.mark.parametrize("event", [Event.RUN_FAILED, Event.RUN_CANCELLED])
def test_a_run_that_never_came_to_a_verdict_says_what_ended_it(event):
    body = payload(NotificationInput(event=event, reason="the log store holds no records", **RUN))

    assert (body["event"], body["verdict"], body["candidates"]) == (event.value, None, [])
    assert body["reason"] == "the log store holds no records"
    with pytest.raises(ValidationError, match="say what ended the run"):
        NotificationInput(event=event, **RUN)


def test_a_completed_run_has_a_decision():
    with pytest.raises(ValidationError, match="decision is None"):
        NotificationInput(event=Event.RUN_COMPLETED, **RUN)


def test_a_review_is_passed_on(inputs):
    review = {"state": "approved", "by": "ada"}
    body = payload(
        NotificationInput(event=Event.REVIEW_DECIDED, decision=decide(inputs()), review=review, **RUN)
    )

    assert body["review"] == review


def test_an_event_keeps_its_id_and_another_event_or_job_has_another():
    ids = [event_id(job, event, again) for job in ("a", "b") for event in Event for again in (0, 1)]

    assert len(set(ids)) == 4 * len(Event)
    # Receivers remember ids across releases, so this one may never change.
    assert event_id("0123456789abcdef01234567", Event.RUN_COMPLETED) == "8ca4d069-7365-52d0-b06a-9c3a5630c139"


def test_times_are_told_in_utc():
    local = MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    body = payload(NotificationInput(event=Event.RUN_FAILED, reason="x", **(RUN | {"occurred_at": local})))

    assert body["occurred_at"] == "2026-03-01T12:00:30.250Z"
    with pytest.raises(ValidationError, match="timezone"):
        NotificationInput(event=Event.RUN_FAILED, reason="x", **(RUN | {"occurred_at": datetime(2026, 3, 1)}))


def test_the_same_event_is_the_same_bytes(inputs):
    body = payload(NotificationInput(event=Event.RUN_COMPLETED, decision=decide(inputs()), **RUN))
    shuffled = list(body.items())
    random.Random(1).shuffle(shuffled)

    assert encode(dict(shuffled)) == encode(body)
    assert json.loads(encode(body)) == body

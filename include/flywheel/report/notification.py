"""What the application is told at the end of a run: one JSON document, the same on every try."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from include.flywheel.evaluation.decision import Decision, Estimate

SCHEMA_VERSION = 1

_EVENT_NAMESPACE = uuid.UUID("6f0d7a52-6a0e-5c39-8f0b-4f6f1c2b9d11")
"""Fixed for ever: another one would give every event that was sent before a new id."""


class Event(StrEnum):
    """What happened."""

    RUN_COMPLETED = "run.completed"
    RUN_FAILED = "run.failed"
    RUN_CANCELLED = "run.cancelled"
    REVIEW_DECIDED = "review.decided"
    CHAMPION_CHANGED = "champion.changed"


class WinnerDetails(BaseModel):
    """What the pipeline knows of a winner beyond its scores; None where it is unknown."""

    model_config = ConfigDict(extra="forbid")

    customized_model: str | None = None
    files_url: str | None = None
    cost_per_1000_tokens: float | None = Field(default=None, ge=0.0)
    """US dollars."""
    saving_percent: float | None = None


class NotificationInput(BaseModel):
    """All that a notification says. `occurred_at` belongs to the event: keep it when sending again."""

    model_config = ConfigDict(extra="forbid")

    event: Event
    run_id: str
    job_id: str
    client_id: str
    workload_id: str
    occurred_at: AwareDatetime
    report_url: str | None = None
    pass_number: int = 0
    """How often the job was retried."""
    decision: Decision | None = None
    winner_details: WinnerDetails = Field(default_factory=WinnerDetails)
    reason: str | None = None
    """Why there is no winner; taken from the decision where there is one."""
    review: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _says_why(self) -> Self:
        if self.event in (Event.RUN_FAILED, Event.RUN_CANCELLED) and not self.reason:
            raise ValueError(f"reason is {self.reason!r} for {self.event.value}; say what ended the run")
        if self.event is Event.RUN_COMPLETED and self.decision is None:
            raise ValueError("decision is None for run.completed; give the run's decision")
        return self


def event_id(job_id: str, event: Event, pass_number: int = 0) -> str:
    """The id of an event: the same for the same job and event, so that a receiver sees repeats.

    A job that was retried ends anew, and says so anew.
    """
    again = f"/{pass_number}" if pass_number else ""
    return str(uuid.uuid5(_EVENT_NAMESPACE, f"{job_id}/{event.value}{again}"))


def payload(notification: NotificationInput) -> dict[str, Any]:
    """The body of the notification as JSON-able data."""
    decision = notification.decision
    body: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "event": notification.event.value,
        "event_id": event_id(notification.job_id, notification.event, notification.pass_number),
        "occurred_at": _utc(notification.occurred_at),
        "run_id": notification.run_id,
        "job_id": notification.job_id,
        "client_id": notification.client_id,
        "workload_id": notification.workload_id,
        "verdict": decision.verdict.value if decision else None,
        "reference": _reference(decision),
        "candidates": _candidates(decision),
        "report_url": notification.report_url,
    }
    if decision and decision.winner:
        body["winner"] = _winner(decision, notification.winner_details)
    if not (decision and decision.winner) or notification.reason:
        body["reason"] = notification.reason or (decision.reason if decision else None)
    if notification.review is not None:
        body["review"] = notification.review
    return body


def encode(body: dict[str, Any]) -> bytes:
    """The bytes that are signed and sent: the same for the same document, whatever the order of its keys."""
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)


def _winner(decision: Decision, details: WinnerDetails) -> dict[str, Any] | None:
    winner = decision.winner
    if winner is None:
        return None
    body: dict[str, Any] = {
        "model_name": winner.nim,
        "stage": winner.stage.value,
        "score": winner.score.value,
        "interval": _interval(winner.score),
        "cost_per_1000_tokens": details.cost_per_1000_tokens,
        "saving_percent": details.saving_percent,
    }
    optional = {"customized_model": details.customized_model, "files_url": details.files_url}
    return body | {key: value for key, value in optional.items() if value is not None}


def _reference(decision: Decision | None) -> dict[str, Any] | None:
    """The production model and its score; None where it could not be asked."""
    if decision is None or decision.bar.score is None:
        return None
    return {"model_name": decision.bar.model, "score": decision.bar.score.value}


def _candidates(decision: Decision | None) -> list[dict[str, Any]]:
    return [
        {
            "model_name": candidate.nim,
            "stage": candidate.stage.value,
            "verdict": candidate.verdict.value,
            "score": candidate.score.value,
        }
        for candidate in (decision.candidates if decision else [])
    ]


def _interval(estimate: Estimate) -> list[float]:
    return [estimate.low, estimate.high]


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

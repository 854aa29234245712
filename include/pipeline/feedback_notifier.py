"""Tells the application which models please fewer users than before."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC
from typing import Any

import httpx
from airflow.sdk import BaseNotifier

from include.flywheel.errors import ConfigError, DeliveryError
from include.flywheel.feedback.alerts import AlertReport
from include.flywheel.report.delivery import deliver
from include.stores.application import find_webhook

EVENT = "feedback.alert"
SCHEMA_VERSION = 1
_EVENTS = uuid.UUID("9a4d6f0e-3c52-5b8e-8f8b-1d1d5f2a7c60")
"""Fixed for ever: another one would give every alert that was sent before a new id."""


class FeedbackAlertNotifier(BaseNotifier):
    """Posts an alert to a connection's webhook, signed and retried like every notification.

    :param report: an AlertReport as JSON-able data.
    :param run: names the check: the same run tells the same event, so that a receiver sees repeats.
    :param conn_id: the application's connection.
    """

    template_fields: Sequence[str] = ("conn_id",)

    def __init__(self, *, report: dict[str, Any], run: str, conn_id: str = "application") -> None:
        super().__init__()
        self.report, self.run, self.conn_id = report, run, conn_id

    def notify(self, context: Any) -> None:  # noqa: ARG002
        """Tell it. Raises ConfigError without the connection, DeliveryError where it was not accepted."""
        webhook = find_webhook(self.conn_id)
        if webhook is None:
            raise ConfigError(
                f"connection {self.conn_id!r} is not configured: nobody can be told of {EVENT}; add it, "
                "airflow_settings.yaml shows how"
            )
        with httpx.Client() as client:
            delivery = deliver(webhook.url, alert_body(self.report, self.run), webhook.secret, client)
        if not delivery.delivered:
            raise DeliveryError(f"{EVENT} was not accepted by {delivery.url}: {delivery.error}")
        self.log.info("the application was told: %s (%s)", EVENT, delivery.event_id)


def alert_body(report: dict[str, Any], run: str) -> dict[str, Any]:
    """What is sent."""
    found = AlertReport.model_validate(report)
    return {
        "schema_version": SCHEMA_VERSION,
        "event": EVENT,
        "event_id": str(uuid.uuid5(_EVENTS, run)),
        "occurred_at": found.windows.end.astimezone(UTC).isoformat(),
        "windows": found.windows.model_dump(mode="json"),
        "settings": found.settings.model_dump(mode="json"),
        "models": [
            one.model_dump(mode="json")
            | {"before_share": one.before.value, "after_share": one.after.value, "message": one.words()}
            for one in found.fallen
        ],
    }

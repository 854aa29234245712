"""Tell the application, and whoever else its workload names, how a run ended."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx
from airflow.sdk.configuration import conf

from include.flywheel.errors import ConfigError
from include.flywheel.evaluation.decision import Decision
from include.flywheel.evaluation.specs import Stage
from include.flywheel.report.delivery import deliver
from include.flywheel.report.notification import Event, NotificationInput, WinnerDetails, payload
from include.flywheel.runs.documents import RunDocument, now
from include.flywheel.runs.states import RunStatus, StepName
from include.pipeline.prepare import load_config
from include.pipeline.run import Run, current_run
from include.stores.application import find_webhook

log = logging.getLogger(__name__)

_EVENTS = {
    RunStatus.COMPLETED: Event.RUN_COMPLETED,
    RunStatus.FAILED: Event.RUN_FAILED,
    RunStatus.CANCELLED: Event.RUN_CANCELLED,
}


def notify() -> bool:
    """Tell everybody. A failed delivery is written down and changes nothing else."""
    run = current_run()
    with run.runs.at_step(run.job_id, StepName.NOTIFY_APPLICATION):
        tell(run, run.runs.get(run.job_id))
    delivery = run.runs.get(run.job_id).notification or {}
    return bool(delivery.get("delivered"))


def tell(run: Run, document: RunDocument) -> None:
    """Send the notification of the run's end to whoever has not taken it yet."""
    _tell_those(run, document, lambda before: not (before or {}).get("delivered"))


def tell_the_rest(run: Run, document: RunDocument) -> None:
    """The same, to whom nobody has tried to tell it."""
    _tell_those(run, document, lambda before: before is None)


def _tell_those(run: Run, document: RunDocument, is_due: Callable[[dict[str, Any] | None], bool]) -> None:
    # As it stands: what is read need not be a configuration of this version where nobody is left to tell.
    workload = (document.resolved or {}).get("workload") or {}
    if is_due(document.notification):
        conn_id = workload.get("application_conn_id", "application")
        run.runs.update(run.job_id, notification=_told(run, document, conn_id, "the application"))
    deliveries = dict(document.notifiers)
    for conn_id in workload.get("notifiers", []):
        if is_due(deliveries.get(conn_id)):
            deliveries[conn_id] = _told(run, document, conn_id, f"notifier {conn_id!r}")
            run.runs.update(run.job_id, notifiers=deliveries)


def _told(run: Run, document: RunDocument, conn_id: str, who: str) -> dict[str, Any]:
    """How the delivery to one of them went; what went wrong is an event of the run."""
    try:
        delivery = _deliver(run, document, conn_id)
    except ConfigError as error:
        delivery = {"delivered": False, "error": str(error), "finished_at": now()}
    if delivery["delivered"]:
        log.info("%s was told: %s", who, delivery["event"])
    else:
        run.runs.note(run.job_id, f"{who} was not told: {delivery['error']}")
        log.warning("%s was not told: %s", who, delivery["error"])
    return delivery


def _deliver(run: Run, document: RunDocument, conn_id: str) -> dict[str, Any]:
    webhook = find_webhook(conn_id)
    if webhook is None:
        raise ConfigError(f"connection {conn_id!r} is not configured")
    body = payload(_notification(run, document))
    with httpx.Client() as client:
        delivery = deliver(webhook.url, body, webhook.secret, client)
    return {"event": body["event"], **delivery.model_dump(mode="json")}


def _notification(run: Run, document: RunDocument) -> NotificationInput:
    decision = _decision(document)
    reason = None if document.status is RunStatus.COMPLETED else document.error or "unknown"
    return NotificationInput(
        event=_EVENTS[document.status],
        run_id=document.run_id,
        job_id=document.job_id,
        pass_number=document.pass_number,
        client_id=document.client_id,
        workload_id=document.workload_id,
        occurred_at=datetime.fromisoformat(document.finished_at)
        if document.finished_at
        else datetime.now(UTC),
        report_url=_report_url(document),
        decision=decision,
        winner_details=_winner_details(run, decision),
        reason=reason,
    )


def _winner_details(run: Run, decision: Decision | None) -> WinnerDetails:
    if decision is None or decision.winner is None:
        return WinnerDetails()
    facts = next(nim for nim in load_config(run).nims if nim.name == decision.winner.nim)
    price = facts.price_per_million_tokens
    customized = decision.winner.model if decision.winner.stage is Stage.CUSTOMIZED else None
    return WinnerDetails(
        customized_model=customized,
        files_url=None if customized is None else f"hf://models/{customized}",
        cost_per_1000_tokens=None
        if price is None
        else round((price.input_usd + price.output_usd) / 2 / 1000, 9),
    )


def _decision(document: RunDocument) -> Decision | None:
    return None if document.decision is None else Decision.model_validate(document.decision)


def _report_url(document: RunDocument) -> str:
    base = conf.get("api", "base_url", fallback="").rstrip("/")
    return f"{base}/dags/{document.dag_id}/runs/{quote(document.run_id, safe='')}"

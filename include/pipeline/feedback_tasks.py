"""What the tasks of the weekly feedback run do."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from pydantic import ValidationError

from include.flywheel.errors import ConfigError, DeliveryError, FlywheelError
from include.flywheel.feedback.alerts import AlertSettings, Windows, check_models
from include.flywheel.feedback.export.manifest import Manifest
from include.flywheel.feedback.export.names import checked_name
from include.flywheel.feedback.export.run import run_export
from include.flywheel.feedback.export.spec import ExportSpec, Filters, Weights
from include.flywheel.feedback.export.table import summary_lines
from include.pipeline.feedback_notifier import FeedbackAlertNotifier
from include.stores.feedback import connect, find_place, migrate
from include.stores.feedback_exports import open_export_folder
from include.stores.feedback_judgements import is_configured

log = logging.getLogger(__name__)

_PROGRESS_ROWS = 100_000


def migrate_tables() -> list[str]:
    """Bring the tables to this program's schema; skips the run where no feedback database is configured."""
    if not is_configured():
        raise AirflowSkipException("connection 'flywheel_feedback' is not configured: nothing to export")
    with _refusing():
        done = migrate(applied=lambda name: log.info("applied migration %s", name))
    log.info("%d migrations applied", len(done))
    return done


def refresh_view() -> None:
    """Refresh the accuracy view; whoever reads it meanwhile reads the old one."""
    with _refusing(), closing(connect()) as connection:
        # REFRESH … CONCURRENTLY and what it locks end with their own transaction.
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("SELECT refresh_model_accuracy()")
    log.info("model_accuracy_by_intent is fresh")


def export() -> dict[str, Any]:
    """Write the files; a second try of the same run writes the same names. Returns counts and digests."""
    with _refusing():
        spec, name = _spec(), _name()
        folder = open_export_folder()
        place = find_place()
        manifest = run_export(
            lambda: closing(connect(place)), spec, folder, checked_name(name), progress=_say_progress
        )
    for line in summary_lines(manifest):
        log.info("%s", line)
    return _in_short(manifest)


def alert() -> list[str]:
    """Compare each model with its own window before; tells the application of those that fell."""
    params = get_current_context()["params"]
    with _refusing():
        settings = AlertSettings(
            days=params["alert_days"], alpha=params["alert_alpha"], min_feedback=params["alert_min_feedback"]
        )
        with closing(connect()) as connection:
            report = check_models(connection, Windows.until(_end(), settings.days), settings)
        for model in report.models:
            log.info("%s", model.words())
        fallen = [model.model for model in report.fallen]
        if not fallen:
            log.info("no alert: %d models, none of them fell", len(report.models))
            return fallen
        log.warning("alert: %s", ", ".join(fallen))
        dag_run: Any = get_current_context()["dag_run"]
        notifier = FeedbackAlertNotifier(
            report=report.model_dump(mode="json"), run=f"{dag_run.dag_id}/{dag_run.run_id}"
        )
        notifier(get_current_context())
    return fallen


def _in_short(manifest: Manifest) -> dict[str, Any]:
    return {"output_path": manifest.output_path, "digests": manifest.digests} | manifest.counts.model_dump()


def _say_progress(rows: int) -> None:
    if rows % _PROGRESS_ROWS == 0:
        log.info("%s rows read", f"{rows:,}")


@contextmanager
def _refusing() -> Iterator[None]:
    """What a person has to correct is not tried again; a database or an application that is away is."""
    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        raise AirflowFailException(f"param `{field}` = {first['input']!r}: {first['msg']}") from None
    except DeliveryError:
        raise
    except FlywheelError as error:
        if isinstance(error.__context__, psycopg2.OperationalError):
            raise
        raise AirflowFailException(str(error)) from None


def _end() -> datetime:
    """The end of the range: what was said, or when this run was due, which is the same on every try."""
    context = get_current_context()
    said = context["params"]["end_date"]
    return _time(said) if said else _due(context)


def _due(context: Any) -> datetime:
    due: datetime = context["dag_run"].run_after
    return due.astimezone(UTC)


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{text!r} is no time: write it as 2026-11-20T00:00:00Z") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _spec() -> ExportSpec:
    params = get_current_context()["params"]
    end = _end()
    start = _time(params["start_date"]) if params["start_date"] else end - timedelta(days=params["days"])
    names = ("model", "intent", "project", "min_query_chars", "min_response_chars", "deduplicate")
    return ExportSpec(
        filters=Filters(start=start, end=end, **{name: params[name] for name in names}),
        weights=Weights(thumbs_up=params["thumbs_up_weight"], thumbs_down=params["thumbs_down_weight"]),
        format=params["format"],
        uncorrected_negatives=params["uncorrected_negatives"],
        seed=params["seed"],
    )


def _name() -> str:
    """What was said, or a name that belongs to this run alone."""
    context = get_current_context()
    said: str | None = context["params"]["output_path"]
    if said:
        return said
    dag_run: Any = context["dag_run"]
    day = f"{_due(context):%Y-%m-%d}"
    if str(dag_run.run_type) == "scheduled":
        return f"weekly/{day}"
    return f"manual/{day}-{hashlib.sha256(dag_run.run_id.encode()).hexdigest()[:10]}"

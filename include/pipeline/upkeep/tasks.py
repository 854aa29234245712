"""What the tasks of the clean-up run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowFailException

from include.flywheel.errors import FlywheelError
from include.flywheel.runs.documents import now
from include.flywheel.runs.retention import UpkeepSettings, load_upkeep_settings
from include.pipeline.upkeep.airflow_runs import is_live
from include.pipeline.upkeep.deletions import finish_deletions
from include.pipeline.upkeep.feedback import keep_feedback
from include.pipeline.upkeep.journal import Journal, journal
from include.pipeline.upkeep.reconcile import Reconciler
from include.pipeline.upkeep.retain import Retainer
from include.pipeline.upkeep.table import summary, table
from include.stores.upkeep import open_reports

log = logging.getLogger(__name__)


def reconcile() -> None:
    """Take down what is left of runs that are over, and go on with removals that are not done."""

    def work(made: Journal, settings: UpkeepSettings) -> None:
        Reconciler(made, is_live, _grace(settings)).run()
        finish_deletions(made, is_live)

    _pass(work)


def retain() -> None:
    """Remove what has grown old, and keep feedback's figures fresh."""

    def work(made: Journal, settings: UpkeepSettings) -> None:
        Retainer(made, is_live, settings.retention).run()
        keep_feedback(made, settings.retention.feedback_days)

    _pass(work)


def report() -> str:
    """Write the report's end and log it as a table; returns the counts in words.

    Fails where something could not be done, or where a task before it failed: the next hour tries again.
    """
    reports = open_reports()
    with _refusing():
        made = reports.get(_report_id())
    made.finished_at = made.finished_at or now()
    reports.save(made)
    for line in table(made):
        log.info("%s", line)
    words = summary(made)
    log.info("%s", words)
    if made.failures:
        raise AirflowFailException(
            f"{words}: the table above, or the report {made.report_id!r}, says what failed"
        )
    _check_the_others()
    return words


def _pass(work: Callable[[Journal, UpkeepSettings], None]) -> None:
    with _refusing(), journal(_report_id(), dry_run=_dry_run()) as made:
        work(made, load_upkeep_settings())


@contextmanager
def _refusing() -> Iterator[None]:
    """What a person has to correct is not tried again."""
    try:
        yield
    except FlywheelError as error:
        raise AirflowFailException(str(error)) from None


def _grace(settings: UpkeepSettings) -> timedelta:
    asked = get_current_context()["params"]["grace_minutes"]
    return timedelta(minutes=settings.grace_minutes if asked is None else asked)


def _dry_run() -> bool:
    return bool(get_current_context()["params"]["dry_run"])


def _report_id() -> str:
    return str(get_current_context()["dag_run"].run_id)


def _check_the_others() -> None:
    """The report runs whatever happened before it, and the DAG run ends as it does."""
    instance = get_current_context()["ti"]
    states = instance.get_task_states(
        dag_id=instance.dag_id, task_ids=["reconcile", "retain"], run_ids=[instance.run_id]
    )
    failed = [name for name, state in states.get(instance.run_id, {}).items() if state != "success"]
    if failed:
        raise AirflowFailException(f"{' and '.join(sorted(failed))} did not succeed: see the log")

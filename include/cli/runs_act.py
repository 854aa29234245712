"""What a person does to a run: follow it, end it, have it go on."""

from __future__ import annotations

import time
from collections.abc import Callable
from getpass import getuser

from rich.console import Console

from include.cli.progress import Progress
from include.cli.runs_words import moment
from include.flywheel.errors import FlywheelError, StateError
from include.flywheel.runs.documents import RunDocument
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.retry import plan_retry
from include.flywheel.runs.states import RunStatus
from include.stores.airflow_api import AirflowApi
from include.stores.removal import remove_run

_POLL_SECONDS = 0.5
_AT_WORK = {"queued", "running"}


def watch(runs: RunRepository, run: RunDocument, console: Console, api: AirflowApi | None) -> bool:
    """Follow the run to its end; returns whether it completed.

    With `api` also until Airflow is done with it, so that a retry that has not begun yet is waited for.
    """
    is_over = _watched(runs, run, api, lambda text: console.print(text, markup=False))
    Progress(runs, run.job_id, console).follow(is_over)
    ended = runs.get(run.job_id)
    console.print(f"{ended.status.value}{f': {ended.error}' if ended.error else ''}", markup=False)
    return ended.status is RunStatus.COMPLETED


def _watched(
    runs: RunRepository, run: RunDocument, api: AirflowApi | None, say: Callable[[str], None]
) -> Callable[[], bool]:
    asked = api

    def is_over() -> bool:
        nonlocal asked
        if not runs.get(run.job_id).status.is_over:
            return False
        try:
            return asked is None or asked.run_state(run.dag_id, run.run_id) not in _AT_WORK
        except FlywheelError as error:
            say(f"{error} (followed by its document alone)")
            asked = None
            return True

    return is_over


def cancel(
    runs: RunRepository, run: RunDocument, api: AirflowApi, *, wait_seconds: float, say: Callable[[str], None]
) -> bool:
    """Mark the run failed in Airflow, whose teardowns then end what it runs.

    Waits up to `wait_seconds` until nothing of it runs; 0: does not wait. Returns whether that was seen, or
    not waited for. Raises StateError where there is nothing to cancel.
    """
    state = api.run_state(run.dag_id, run.run_id)
    if state is None:
        raise StateError(
            f"Airflow at {api.url} knows no run {run.run_id!r} of {run.dag_id!r}, so it cannot be cancelled; "
            "what it left behind is ended by the hourly upkeep"
        )
    if state not in _AT_WORK:
        raise StateError(f"run {run.job_id} is over ({run.status.value}): there is nothing to cancel")
    api.mark_failed(run.dag_id, run.run_id)
    # Airflow's listener does so too, unless it cannot reach the documents.
    runs.request_cancel(run.job_id)
    runs.note(run.job_id, "cancel asked from the command line")
    say(f"run {run.job_id} is marked failed: its teardowns end what it runs")
    if wait_seconds <= 0:
        return True
    return _wait_until_down(runs, run, api, wait_seconds, say)


def _wait_until_down(
    runs: RunRepository, run: RunDocument, api: AirflowApi, wait_seconds: float, say: Callable[[str], None]
) -> bool:
    deadline = time.monotonic() + wait_seconds
    while True:
        ended = runs.get(run.job_id)
        over = ended.status.is_over and api.run_state(run.dag_id, run.run_id) not in _AT_WORK
        if over and ended.everything_down_at:
            say(f"{ended.status.value}; nothing of it ran after {moment(ended.everything_down_at)} (UTC)")
            return True
        if over or time.monotonic() > deadline:
            why = "its end was not clean" if over else f"not seen within {wait_seconds:.0f} s"
            say(f"that everything is down was not written ({why}): see `show {run.job_id}` and Airflow's log")
            return False
        time.sleep(_POLL_SECONDS)


def delete(
    run: RunDocument, api: AirflowApi | None, *, wait_seconds: float, say: Callable[[str], None]
) -> bool:
    """Remove the run and all that it made; returns whether nothing is left.

    Raises StateError where it is live, by its document or, with `api`, by Airflow.
    """
    state = None if api is None else api.run_state(run.dag_id, run.run_id)
    if state in _AT_WORK and not run.status.is_over:
        raise StateError(f"Airflow is still at work on run {run.job_id} ({state}): cancel it first, or wait")
    # Without Airflow's word the last tasks are waited for by the document.
    is_over = api is not None and state not in _AT_WORK
    done = remove_run(run.job_id, getuser(), wait_seconds, dag_run_is_over=is_over)
    if not done.left:
        say(done.message)
        return True
    say(f"run {run.job_id} is not removed yet; its documents stay until all else is gone. Left:")
    for words in done.left:
        say(f"  {words}")
    say(f"`delete {run.job_id}` goes on with it, and so does the hourly upkeep")
    return False


def retry(
    runs: RunRepository, run: RunDocument, api: AirflowApi, *, only: str | None, say: Callable[[str], None]
) -> None:
    """Have Airflow run again what is not done, of the whole run or of one NIM.

    Raises StateError where nothing can be, or need be, done again.
    """
    plan = plan_retry(run, runs.nims(run.job_id), only)
    state = api.run_state(run.dag_id, run.run_id)
    if state is None:
        raise StateError(
            f"Airflow at {api.url} has no run {run.run_id!r} of {run.dag_id!r} any more: start a new run"
        )
    if state in _AT_WORK:
        raise StateError(f"Airflow is still at work on run {run.job_id} ({state}): cancel it, or wait")
    cleared = api.clear(run.dag_id, run.run_id, [task.wire for task in plan.tasks])
    runs.note(run.job_id, f"retry asked from the command line: {plan.words}")
    say(plan.words)
    say(f"{cleared} task instances run again; `watch {run.job_id}` follows them")
    if api.is_paused(run.dag_id):
        say(f"the DAG {run.dag_id} is paused: nothing runs before it is unpaused")

"""The run's last task, which runs whatever happened: everything down, and the truth written."""

from __future__ import annotations

from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from include.flywheel.errors import FlywheelError
from include.flywheel.runs.documents import RunDocument, now
from include.flywheel.runs.states import NimStatus, RunStatus, StepName
from include.nemo.errors import NemoError
from include.pipeline.leases import close_all_leases
from include.pipeline.notify import tell_the_rest
from include.pipeline.prepare import open_document
from include.pipeline.run import Run, current_run, is_last_try
from include.pipeline.shared_nims import leave_shared
from include.pipeline.undeploy import say_cancelled, take_down
from include.stores import staging


def close() -> None:
    """The run's last task: nothing may run any more, and the document says how the run really ended.

    Fails, and so fails the DAG run, where the run did not complete.
    """
    run = current_run()
    run.runs.ensure_indexes()
    # A run that was cancelled before its first task is written down too.
    document = open_document(run)
    with run.runs.at_step(run.job_id, StepName.CLOSE_RUN):
        _close(run, document)


def _close(run: Run, document: RunDocument) -> None:
    problems = _take_down(run, document)
    if not document.status.is_over:
        _end(run, document)
        document = run.runs.get(run.job_id)
    tell_the_rest(run, document)
    if problems:
        raise AirflowFailException(problems)
    if document.status is not RunStatus.COMPLETED:
        raise AirflowFailException(f"the run is {document.status.value}: {document.error}")


def _take_down(run: Run, document: RunDocument) -> str | None:
    """End what is left, give its GPUs back, remove intermediate files; what could not be done, in words."""
    problem = None
    try:
        if document.everything_down_at is None:
            if document.resolved is not None:
                take_down(run)
                close_all_leases(run)
                leave_shared(run)
            run.runs.update(run.job_id, everything_down_at=now())
    except (FlywheelError, NemoError) as error:
        if isinstance(error, NemoError) and error.transient and not is_last_try():
            raise AirflowException(f"{error} (this task tries again)") from None
        problem = str(error)
        run.runs.note(run.job_id, problem)
    try:
        staging.remove(run.job_id)
    except OSError as error:
        # Nothing that costs money: the run is what it is.
        run.runs.note(run.job_id, f"staging files of {run.job_id} could not be removed: {error}")
    return problem


def _end(run: Run, document: RunDocument) -> None:
    """A run that nobody completed was cancelled if somebody asked for it, or its tasks were skipped."""
    cancelled = document.cancel_requested_at is not None or _was_skipped()
    status = RunStatus.CANCELLED if cancelled else RunStatus.FAILED
    error = (
        "the run was marked failed by hand" if cancelled else document.error or "see the failed task's log"
    )
    run.runs.set_status(run.job_id, status, error=error, finished_at=now())
    for nim in run.runs.nims(run.job_id):
        if cancelled:
            say_cancelled(run, nim.slug, error)
        else:
            run.runs.set_nim_status(run.job_id, nim.slug, NimStatus.FAILED, error=error)


def _was_skipped() -> bool:
    """`decide` runs whatever happened before it: only a cancel skips it."""
    instance: Any = get_current_context()["ti"]
    states = instance.get_task_states(dag_id=instance.dag_id, task_ids=["decide"], run_ids=[instance.run_id])
    return states.get(instance.run_id, {}).get("decide") in {None, "skipped"}

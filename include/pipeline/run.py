"""Which run a task belongs to, and how its errors reach people."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from include.flywheel.errors import FlywheelError, StateError
from include.flywheel.runs import ids
from include.flywheel.runs.documents import now
from include.flywheel.runs.repository import REFERENCE, RunRepository
from include.flywheel.runs.states import StageName, StageStatus
from include.nemo.errors import NemoError
from include.stores.runs import open_runs

log = logging.getLogger(__name__)

_LINE = 110


@dataclass(frozen=True)
class Run:
    """The run of the current task."""

    job_id: str
    dag_id: str
    run_id: str
    runs: RunRepository
    pass_number: int = 0

    def refuse_if_cancelled(self) -> None:
        """Raises AirflowFailException where somebody asked for the run's end."""
        if self.runs.get(self.job_id).cancel_requested_at is not None:
            raise AirflowFailException("the run was cancelled: nothing goes on")

    def refuse_if_closed(self, slug: str) -> None:
        """Raises AirflowFailException where the run was cancelled, or the NIM taken down.

        A NIM that was taken down begins anew with what leases GPUs and nowhere else: what is cleared behind
        that would hold GPUs without a lease.
        """
        self.refuse_if_cancelled()
        if slug == REFERENCE:
            return
        nim = self.runs.nim(self.job_id, slug)
        if nim.closed_pass >= nim.pass_number:
            raise AirflowFailException(
                "this NIM was taken down: retry it, or clear its `customize` and `deploy` with what follows"
            )

    @property
    def project(self) -> str:
        """The project of the run's remote jobs."""
        return ids.project(self.job_id)

    @property
    def dataset(self) -> str:
        """Name of the run's data set."""
        return ids.dataset(self.job_id)


def current_run() -> Run:
    """The run of the task that is running."""
    dag_run = get_current_context()["dag_run"]
    job_id = ids.job_id(dag_run.dag_id, dag_run.run_id)
    return Run(
        job_id=job_id,
        dag_id=dag_run.dag_id,
        run_id=dag_run.run_id,
        runs=open_runs(),
        pass_number=dag_run.clear_number or 0,
    )


def working_run() -> Run:
    """The same, for a task that works towards a result: once its tasks were cleared, a run is open again."""
    run = current_run()
    try:
        begun = run.runs.begin_pass(run.job_id, run.pass_number)
    except StateError as error:
        raise AirflowFailException(str(error)) from None
    if begun:
        run.runs.note(run.job_id, "goes on: tasks were cleared to run again")
    return run


def name_in_grid(nim: dict[str, str]) -> None:
    """Show the NIM's name, in place of a number, on the mapped task that is running."""
    get_current_context()["nim_name"] = nim["name"]  # type: ignore[typeddict-unknown-key]


NAME_TEMPLATE = "{{ nim_name }}"


@contextmanager
def telling(run: Run, slug: str | None = None, stage: StageName | None = None) -> Iterator[None]:
    """Write an error where people look: the run's document and the end of the task's log.

    What a second try may mend (a service that does not answer) makes Airflow try again, and is written down
    when no try is left. Everything else fails the task at once.
    """
    try:
        yield
    except (AirflowSkipException, AirflowFailException):
        raise
    except (FlywheelError, NemoError) as error:
        again = isinstance(error, NemoError) and error.transient and not is_last_try()
        if again:
            raise AirflowException(f"{error} (this task tries again)") from None
        record_failure(run, str(error), slug, stage)
        show(str(error))
        raise AirflowFailException(str(error)) from None
    except Exception as error:
        if is_last_try():
            record_failure(run, f"unexpected {type(error).__name__}: {error}", slug, stage)
        raise


def show(text: str, logger: Any = log) -> None:
    """Log an error in lines that fit the log's view, which cuts long ones off."""
    for line in textwrap.wrap(text, _LINE, break_long_words=False, break_on_hyphens=False):
        logger.error("%s", line)


def record_failure(run: Run, text: str, slug: str | None, stage: StageName | None) -> None:
    """Write why a stage, or the run itself, failed. The first reason of a run stays."""
    if slug is None:
        document = run.runs.find(run.job_id)
        if document is not None and document.error is None:
            run.runs.update(run.job_id, error=text)
        run.runs.note(run.job_id, text)
        return
    if stage is not None:
        run.runs.set_stage(
            run.job_id, slug, stage, status=StageStatus.FAILED.value, error=text, finished_at=now()
        )
    run.runs.note(run.job_id, f"{slug}{'' if stage is None else ' ' + stage.value}: {text}")


def is_last_try() -> bool:
    """Whether Airflow tries the task that is running no more after this."""
    instance: Any = get_current_context()["ti"]
    return bool(instance.try_number > instance.max_tries)

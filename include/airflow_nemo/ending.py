"""How a task looks at its remote work from a worker, waits for it there, and ends it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from include.airflow_nemo.errors import JobFailed
from include.airflow_nemo.hook import NemoHook
from include.airflow_nemo.outcomes import describe, failure, given, result_of
from include.airflow_nemo.watching import Watch, not_served_yet
from include.nemo import NO_RETRIES, JobProgress, RetryPolicy
from include.nemo.errors import Conflict, Invalid, NemoError, NotFound
from include.nemo.inference import list_models
from include.nemo.jobs import JobKind, cancel_call, progress_call


def look(
    hook: NemoHook, kind: JobKind, job: str, served_model: str | None, retries: RetryPolicy = NO_RETRIES
) -> JobProgress:
    """How far the work is; not done before the NIM proxy lists `served_model`, where one is given."""
    with hook.client(retries=retries) as nemo:
        progress = nemo.send(progress_call(kind, job))
        wanted = given(served_model)
        if progress.state.ok and wanted and wanted not in {model.id for model in nemo.send(list_models())}:
            return not_served_yet(progress, wanted)
    return progress


def wait(
    watch: Watch, look_once: Callable[[], JobProgress], sleep: Callable[[float], None] = time.sleep
) -> JobProgress:
    """The last progress of work that a worker waits for.

    Raises JobFailed at the deadline, NemoError where waiting cannot help.
    """
    while True:
        try:
            progress = look_once()
        except NemoError as error:
            watch.bear(error)
        else:
            watch.see(progress)
            if progress.state.is_terminal:
                return progress
        watch.check_deadline()
        sleep(watch.wait_seconds())


def after_trigger(hook: NemoHook, kind: JobKind, job: str, served_model: str | None, event: Any) -> str:
    """What a task returns whose trigger could not end it (`dag.test`); `event` is "success" or "failed".

    Raises JobFailed for work that ended badly, or has not ended.
    """
    # A trigger that said "success" has seen the proxy list the model.
    wanted = None if event == "success" else served_model
    progress = look(hook, kind, job, wanted, RetryPolicy())
    if event == "success" or progress.state.ok:
        return result_of(kind, job, given(served_model), progress)
    if progress.state.is_terminal:
        raise JobFailed(failure(kind, job, progress))
    raise JobFailed(
        f"The wait for the {kind.value} {job} ended before it did ({describe(progress)}). "
        "The trigger's lines above say why."
    )


def cancel(hook: NemoHook, kind: JobKind, job: str | None, log: Any) -> None:
    """Stop the work because its task is killed. Best effort: says what it could not do, never raises."""
    if not given(job):
        return
    try:
        with hook.client() as nemo:
            nemo.send(cancel_call(kind, str(job)))
        log.info("Cancelled %s %s, because its task was ended", kind.value, job)
    except (NotFound, Conflict, Invalid) as error:
        log.info("Nothing left to cancel: %s", error)
    except Exception as error:
        log.warning("Could not cancel %s %s: %s", kind.value, job, error)

"""Notes when a person marked a run failed: the moment a cancel was asked for."""

from __future__ import annotations

import logging
from typing import Any

from airflow.listeners import hookimpl

from include.flywheel.runs import ids
from include.stores.runs import open_runs

log = logging.getLogger(__name__)

_DAG_PREFIX = "flywheel_"
_BY_HAND = "manually set"


@hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    """Airflow calls this in the API server at once, and in the scheduler when a run fails by itself.

    Only the first is a cancel. A note that cannot be written must not fail the person's request: `close_run`
    recognises a cancelled run without it.
    """
    if not dag_run.dag_id.startswith(_DAG_PREFIX) or _BY_HAND not in (msg or ""):
        return
    try:
        open_runs().request_cancel(ids.job_id(dag_run.dag_id, dag_run.run_id))
    except Exception:
        log.exception("could not note that %s of %s was asked to end", dag_run.run_id, dag_run.dag_id)

"""What Airflow says about runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow.sdk import get_current_context

IsLive = Callable[[str, str], bool]
"""Whether the run of a DAG id and a run id is queued or running in Airflow."""

_LIVE = ["queued", "running"]


def is_live(dag_id: str, run_id: str) -> bool:
    """Whether Airflow works on the run, or will. False as well for a run or a DAG that it does not know."""
    instance: Any = get_current_context()["ti"]
    return bool(instance.get_dr_count(dag_id=dag_id, run_ids=[run_id], states=_LIVE))

"""One flywheel DAG for each configured workload, and one on demand for any other.

Triage: a failed run leaves nothing running unless its `close_run` says so; each DAG's page in Airflow has the
table of what to do. To add a DAG, add a file to include/flywheel/config/workloads.
"""

from __future__ import annotations

from airflow.sdk import get_parsing_context

from include.pipeline.factory import flywheel_dags

globals().update(flywheel_dags(get_parsing_context().dag_id))

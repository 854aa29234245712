"""One flywheel DAG for each configured workload, and one on demand for any other.

Triage: a failed run leaves nothing running unless its `close_run` says so; each DAG's page has the table of
what to do. To add a DAG, add a file to include/flywheel/config/workloads.
"""

from __future__ import annotations

from airflow.sdk import DAG

from include.flywheel.config.workload import load_workloads
from include.pipeline.factory import flywheel_dag

for _workload in load_workloads():
    globals()[_workload.dag_id] = flywheel_dag(_workload)

flywheel_on_demand: DAG = flywheel_dag(None)

"""The hourly clean-up: orphans of runs that are over, and what has grown old.

Triage: what it could not remove stands in the log of `report`; the DAG's page in Airflow says what to do.
Ages are in include/flywheel/config/upkeep.yaml.
"""

from __future__ import annotations

from include.pipeline.upkeep.dag import upkeep_dag

flywheel_upkeep = upkeep_dag()

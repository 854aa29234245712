"""The weekly export of users' feedback, and the alert where they like a model less than before.

Triage: a failed export leaves the last files whole; the DAG's page in Airflow has the table of what to do.
"""

from __future__ import annotations

from include.pipeline.feedback_export import feedback_dag

feedback_export = feedback_dag()

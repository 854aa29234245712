"""Registers what the flywheel adds to Airflow."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

# The factory is imported for speed alone: workers are forks of the scheduler, and a task that finds its
# modules loaded starts a second sooner.
from include.pipeline import factory, listener  # noqa: F401


class FlywheelPlugin(AirflowPlugin):
    """One listener: it notes when a run was marked failed."""

    name = "flywheel"
    listeners = [listener]  # noqa: RUF012 - Airflow's own form

"""Registers what the flywheel adds to Airflow."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from include.pipeline import listener


class FlywheelPlugin(AirflowPlugin):
    """One listener: it notes when a run was marked failed."""

    name = "flywheel"
    listeners = [listener]  # noqa: RUF012 - Airflow's own form

"""Registers what the flywheel adds to Airflow."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

# The factory is imported for speed alone: workers are forks of the scheduler, and a task that finds its
# modules loaded starts a second sooner.
from include.pipeline import factory, listener  # noqa: F401
from include.web.dispatch import MOUNT, Dispatch, LazyApp


class FlywheelPlugin(AirflowPlugin):
    """The REST application, the middleware that leads `/api/jobs` and its neighbours to it, one listener."""

    name = "flywheel"
    listeners = [listener]  # noqa: RUF012 - Airflow's own form
    fastapi_apps = [{"app": LazyApp(), "url_prefix": MOUNT, "name": "Flywheel"}]  # noqa: RUF012
    fastapi_root_middlewares = [  # noqa: RUF012
        {"middleware": Dispatch, "args": [], "kwargs": {}, "name": "Flywheel paths"}
    ]

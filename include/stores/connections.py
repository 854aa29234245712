"""Airflow connections, inside a task, a trigger, the API server, or (as `AIRFLOW_CONN_*`) outside Airflow."""

from __future__ import annotations

from airflow.sdk import Connection
from airflow.sdk.bases.hook import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowRuntimeError

from include.flywheel.errors import ConfigError


def find(conn_id: str) -> Connection | None:
    """The connection, or None when nobody configured it."""
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        # Where no task is running: outside Airflow, and in its servers.
        return None
    except AirflowRuntimeError as error:
        if "NOT_FOUND" in str(error.error.error):
            return None
        raise


def get(conn_id: str, purpose: str) -> Connection:
    """The connection. Raises ConfigError that says what it is for and how to add it."""
    connection = find(conn_id)
    if connection is None:
        raise ConfigError(
            f"connection {conn_id!r} ({purpose}) is not configured: add it under Admin, Connections, "
            f"or set AIRFLOW_CONN_{conn_id.upper()}; airflow_settings.yaml shows the development values"
        )
    return connection

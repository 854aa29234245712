"""Airflow's configuration for the local stack: each setting with its reason."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from include.local_stack.layout import PROJECT_ROOT, Layout, Ports
from include.local_stack.leftovers import MARK

PASSWORDS_FILE = "simple_auth_manager_passwords.json"
USERS = {"admin": "admin", "viewer": "viewer"}
# The same in every local stack, each with its reason.
_SETTINGS = {
    "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT_ROOT / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT_ROOT / "plugins"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
    # Two cores: eight tasks side by side are quicker than thirty-two.
    "AIRFLOW__CORE__PARALLELISM": "8",
    "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "64",
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
    # The connection form's Test button reports each NeMo service.
    "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in USERS.items()),
    "AIRFLOW__API__HOST": "127.0.0.1",
    # The pause between two tasks of a chain: 0.1 s instead of 1 s.
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "1",
    # A killed worker's task is noticed within seconds, not five minutes; a killed scheduler's likewise.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "10",
    "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "2",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
    # At the default of 5 s a deferred task can be failed by the executor's late report of its first half.
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    # DAG files change when somebody edits them, not every few seconds.
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
    "DO_NOT_TRACK": "1",
}


def base_environment(layout: Layout) -> dict[str, str]:
    """What every process of the stack inherits: the caller's environment less what would lead it astray."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("AIRFLOW_", "_AIRFLOW_", "PYTHON"))
    }
    # Connections and variables that the caller set for itself stay away too: the stack has its own.
    return kept | {MARK: layout.stack_id, "PYTHONPATH": str(PROJECT_ROOT), "PYTHONUNBUFFERED": "1"}


def environment(layout: Layout, ports: Ports, database_uri: str, secrets: dict[str, str]) -> dict[str, str]:
    """Environment of Airflow's processes.

    `secrets`: `jwt`, `fernet` and `api`, random and kept with the state.
    """
    home = layout.airflow_home
    own = {
        "AIRFLOW_HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / PASSWORDS_FILE),
        "AIRFLOW__CORE__FERNET_KEY": secrets["fernet"],
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{ports.airflow}/execution/",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database_uri,
        "AIRFLOW__API__PORT": str(ports.airflow),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{ports.airflow}",
        "AIRFLOW__API__SECRET_KEY": secrets["api"],
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets["jwt"],
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
    }
    return base_environment(layout) | _SETTINGS | own


def passwords(layout: Layout) -> dict[str, str]:
    """Passwords of the local users, as Airflow keeps them."""
    found: dict[str, str] = json.loads((layout.airflow_home / PASSWORDS_FILE).read_text(encoding="utf-8"))
    return found

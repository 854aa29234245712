"""Airflow's configuration, each setting with its reason: shared, production's, and the local stack's."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from include.local_stack.layout import PROJECT_ROOT, Layout, Ports
from include.local_stack.leftovers import MARK

PASSWORDS_FILE = "simple_auth_manager_passwords.json"
USERS = {"admin": "admin", "viewer": "viewer"}
# Quick, and quick to recover: the same on a laptop, in docker-compose.yaml and in deploy/helm-values.yaml.
SHARED_SETTINGS = {
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    # All NIMs of a run side by side; the GPU leases say who may go on, not this limit.
    "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "64",
    # Nothing turns before a person has looked at the configuration.
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
    # The pause between two tasks of a chain: 0.1 s instead of 1 s.
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
    # A beat a second is what makes the thresholds of 10 s below safe.
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "1",
    # How often the scheduler looks for killed workers' tasks: what the heartbeat timeout is rounded up to.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    # A killed scheduler's tasks are taken over within 15 s, not five minutes.
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "10",
    # A wait that takes too long ends when its limit says so, not up to 15 s later.
    "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "2",
    # A killed triggerer's waits are taken over by another, or by itself once it is back, within 10 s.
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "10",
    # At the default of 5 s a deferred task can be failed by the executor's late report of its first half.
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    # A task's calls outlive half a minute without an API server, and go on within 5 s of its return; by
    # default they wait up to 16 s between tries, and give up after the fifth.
    "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "15",
    "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "5",
    # DAG files change when somebody edits them, not every few seconds.
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
    "DO_NOT_TRACK": "1",
}
# What production has otherwise: workers of their own behind a queue, several people, one or two API servers.
PRODUCTION_SETTINGS = {
    "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
    "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
    # Workers x concurrency: what is queued beyond that waits in Redis, and looks like a stuck task.
    "AIRFLOW__CORE__PARALLELISM": "16",
    "AIRFLOW__CELERY__WORKER_CONCURRENCY": "8",
    # A killed worker's task is noticed after a minute. Sooner, a restart of the only API server, during which
    # nobody can send heartbeats, would take every running task for dead.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
    # A worker killed between taking a task from Redis and beginning it leaves the task queued, with no
    # heartbeat to miss: it is queued again after a minute, not after up to 12. Not shorter: this is also how
    # long a task's token lets it begin, and an honest wait for a busy worker takes its time.
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
    # After so many times the task fails, whatever its retries. By default 2: workers that are away for three
    # minutes would fail every run. 20 is 20 minutes. Airflow reads this option and does not document it.
    "AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES": "20",
    # What the health checks of containers ask.
    "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "True",
}
_LOCAL_SETTINGS = {
    "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT_ROOT / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT_ROOT / "plugins"),
    # LocalExecutor, which can also take back a task that a killed worker had taken and not begun ...
    "AIRFLOW__CORE__EXECUTOR": "include.local_stack.executor.RecoveringLocalExecutor",
    # ... and the scheduler asks for that after half a minute, not after up to 12 minutes. There are as many
    # workers as tasks at once, so that no task waits in the queue for an honest reason.
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "2",
    # Two cores: eight tasks side by side are quicker than thirty-two.
    "AIRFLOW__CORE__PARALLELISM": "8",
    # The connection form's Test button reports each NeMo service.
    "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in USERS.items()),
    "AIRFLOW__API__HOST": "127.0.0.1",
    # A killed worker's task is noticed within seconds, not five minutes: the API server restarts in less.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
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
    return base_environment(layout) | SHARED_SETTINGS | _LOCAL_SETTINGS | own


def passwords(layout: Layout) -> dict[str, str]:
    """Passwords of the local users, as Airflow keeps them."""
    found: dict[str, str] = json.loads((layout.airflow_home / PASSWORDS_FILE).read_text(encoding="utf-8"))
    return found

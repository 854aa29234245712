"""The executor of production starts with the versions of the lock."""

from __future__ import annotations

import subprocess
import sys


def test_the_executor_can_be_imported() -> None:
    # In a process of its own: Celery reads Airflow's configuration as it is imported.
    code = "import airflow.providers.celery.executors.celery_executor"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]

"""The executor takes back what Airflow's own cannot."""

from __future__ import annotations

import pkgutil
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.executors.local_executor import LocalExecutor
from airflow.models.taskinstancekey import TaskInstanceKey

from include.local_stack import airflow_config
from include.local_stack.executor import RecoveringLocalExecutor
from include.local_stack.layout import Layout, Ports

TAKEN = TaskInstanceKey("flywheel", "nim.submit", "run", 1, 0)
OTHER = TaskInstanceKey("flywheel", "nim.submit", "run", 1, 1)


def instance(key: TaskInstanceKey) -> Any:
    return SimpleNamespace(key=key)


def test_only_the_task_in_question_is_forgotten() -> None:
    executor = RecoveringLocalExecutor(parallelism=2)
    executor.running = {TAKEN, OTHER}
    executor.revoke_task(ti=instance(TAKEN))
    assert executor.running == {OTHER}
    assert executor.slots_available == 1
    # The scheduler must not fail on one that ended in between.
    executor.revoke_task(ti=instance(TAKEN))


def test_airflows_own_cannot() -> None:
    with pytest.raises(NotImplementedError):
        LocalExecutor(parallelism=2).revoke_task(ti=instance(TAKEN))


def test_the_local_stack_uses_it(layout: Layout) -> None:
    environment = airflow_config.environment(
        layout, Ports(), "postgresql://x", {"jwt": "j", "fernet": "f", "api": "a"}
    )
    module, _, name = environment["AIRFLOW__CORE__EXECUTOR"].rpartition(".")
    assert pkgutil.resolve_name(f"{module}:{name}") is RecoveringLocalExecutor
    # Without it, the shorter time would only shorten the life of tokens.
    assert float(environment["AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT"]) < 60

"""The local stack's executor: Airflow's LocalExecutor, and a way back for tasks of killed workers."""

from __future__ import annotations

from airflow.executors.local_executor import LocalExecutor
from airflow.models.taskinstance import TaskInstance


class RecoveringLocalExecutor(LocalExecutor):
    """LocalExecutor that can take back a task whose worker was killed before the task began.

    Airflow's own cannot: nobody misses a heartbeat of such a task, and it stays queued until the scheduler
    restarts. The scheduler asks for it after `[scheduler] task_queued_timeout`, and then queues the task
    again, which is no new try.
    """

    def revoke_task(self, *, ti: TaskInstance) -> None:
        """Forget the task. A worker that begins it after all is refused: its token lived as long."""
        self.running.discard(ti.key)
        self.queued_tasks.pop(ti.key, None)

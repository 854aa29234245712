"""What a retry clears is in every DAG of the flywheel, and leads to what it is meant to run again."""

from __future__ import annotations

from include.flywheel.runs import retry
from include.pipeline.factory import flywheel_dag


def test_the_tasks_that_a_retry_clears_are_tasks_of_the_dag() -> None:
    assert set(retry.TASKS) <= flywheel_dag(None).task_dict.keys()


def test_from_each_of_them_the_run_comes_to_a_verdict_and_an_end() -> None:
    dag = flywheel_dag(None)
    for task_id in retry.TASKS:
        after = {task_id} | dag.get_task(task_id).get_flat_relative_ids(upstream=False)
        assert after >= {"decide", "record_winners", "notify_application", "close_run"}


def test_a_nim_begins_anew_with_what_leases_its_gpus() -> None:
    dag = flywheel_dag(None)
    after = set(retry.NIM_ROOTS)
    for root in retry.NIM_ROOTS:
        after |= dag.get_task(root).get_flat_relative_ids(upstream=False)
    assert {task_id for task_id in dag.task_dict if task_id.startswith("nim.")} <= after

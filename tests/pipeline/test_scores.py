"""No run ends before its NIMs: what lost all its tries is said by the verdict's task."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time.context import set_current_context

from include.flywheel.runs import ids
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import NimStatus, StageName, StageStatus
from include.pipeline.run import Run
from include.pipeline.scores import keep_what_is_left

from .conftest import FakeNemo

CONTEXT: Any = {"ti": SimpleNamespace(try_number=1, max_tries=3)}
JOB = ids.job_id("flywheel_x", "r")


def test_a_nim_whose_scores_nobody_kept_gets_its_end(
    open_run: Callable[..., RunRepository], fake_nemo: FakeNemo
) -> None:
    runs = open_run({"one": "meta/one", "two": "meta/two"})
    runs.set_stage(JOB, "one", StageName.DEPLOY, status=StageStatus.FAILED.value, error="no image")
    runs.set_nim_status(JOB, "two", NimStatus.COMPLETED)
    keep_what_is_left(Run(JOB, "flywheel_x", "r", runs))
    one, two = runs.nims(JOB)
    assert (one.status, one.error) == (NimStatus.FAILED, "deploy: no image")
    assert one.stages[StageName.BASE_EVAL].detail == "did not run because deploy failed"
    assert two.status is NimStatus.COMPLETED
    assert two.stages == {}


@pytest.mark.parametrize("status", [401, 403])
def test_what_nemo_refuses_is_the_nims_failure_and_not_the_runs(
    open_run: Callable[..., RunRepository], fake_nemo: FakeNemo, status: int
) -> None:
    runs = open_run({"one": "meta/one"})
    runs.set_stage(JOB, "one", StageName.BASE_EVAL, status=StageStatus.COMPLETED.value, remote_id="job-1")
    fake_nemo.status = status
    with set_current_context(CONTEXT):
        keep_what_is_left(Run(JOB, "flywheel_x", "r", runs))
    [one] = runs.nims(JOB)
    assert one.status is NimStatus.FAILED
    assert str(one.error).startswith("scores: ")

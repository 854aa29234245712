"""What is open again after tasks of a run were cleared, and what stays; the times of leases and steps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest

from include.flywheel.errors import StateError
from include.flywheel.runs.documents import LeaseTimes, Reference, Stage, StepTimes
from include.flywheel.runs.repository import REFERENCE, RunRepository
from include.flywheel.runs.states import NimStatus, RunStatus, StageName, StageStatus, StepName

JOB, SLUG = "0123456789abcdef01234567", "a"
AT = "2026-03-02T09:30:00.000+00:00"
END: dict[str, Any] = {
    "finished_at": AT,
    "cancel_requested_at": AT,
    "everything_down_at": AT,
    "decision": {"verdict": "REJECTED"},
    "notification": {"delivered": True},
    "error": "why",
}


def ended(runs: RunRepository, status: RunStatus = RunStatus.FAILED) -> None:
    runs.update(JOB, dataset_uri="hf://d", started_at=AT)
    runs.set_status(JOB, status, winners=[{"nim": "n"}], **END)


@pytest.mark.parametrize("status", [status for status in RunStatus if status.is_over])
def test_a_new_pass_opens_what_the_end_had_written_and_keeps_the_data(
    repository: RunRepository, status: RunStatus
) -> None:
    ended(repository, status)
    assert repository.begin_pass(JOB, 1)
    run = repository.get(JOB)
    assert (run.status, run.pass_number, run.winners) == (RunStatus.RUNNING, 1, [])
    assert [getattr(run, name) for name in END] == [None] * len(END)
    assert (run.dataset_uri, run.started_at) == ("hf://d", AT)


def test_a_pass_begins_once_whoever_comes_and_never_goes_back(repository: RunRepository) -> None:
    together = Barrier(8)

    def begin(_: int) -> bool:
        together.wait()
        return repository.begin_pass(JOB, 2)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(begin, range(8))).count(True) == 1
    repository.set_status(JOB, RunStatus.COMPLETED, finished_at=AT)
    assert [repository.begin_pass(JOB, number) for number in (0, 1, 2)] == [False] * 3
    assert repository.get(JOB).status is RunStatus.COMPLETED
    assert repository.begin_pass(JOB, 3)


def test_a_run_that_is_not_written_down_has_no_pass(repository: RunRepository) -> None:
    assert not repository.begin_pass("f" * 24, 1)
    assert repository.find("f" * 24) is None


@pytest.mark.parametrize("status", list(StageStatus))
def test_the_reference_is_due_again_unless_it_was_completed(
    repository: RunRepository, status: StageStatus
) -> None:
    stage = Stage(status=status, attempt=3, remote_id="e", remote_uri="/e", error="why", scores={"s": 0.5})
    reference = Reference(model="acme/agent", stage=stage)
    repository.update(JOB, reference=reference.model_dump(mode="json"))
    repository.begin_pass(JOB, 1)
    due = Stage(attempt=3, remote_id="e", remote_uri="/e")
    kept = stage if status is StageStatus.COMPLETED else due
    assert repository.stage(JOB, REFERENCE, StageName.REFERENCE_EVAL) == kept


@pytest.mark.parametrize("status", list(StageStatus))
@pytest.mark.parametrize("name", [name for name in StageName if name is not StageName.REFERENCE_EVAL])
def test_a_stage_is_due_again_unless_it_was_completed_and_still_stands(
    repository: RunRepository, name: StageName, status: StageStatus
) -> None:
    stage = Stage(status=status, attempt=2, remote_id="j", submitted_at=AT, finished_at=AT, detail="d")
    repository.set_stage(JOB, SLUG, name, **stage.model_dump(mode="json"))
    assert repository.begin_nim_pass(JOB, SLUG, 1)
    stands = status is StageStatus.COMPLETED and name not in {StageName.DEPLOY, StageName.ADAPTER}
    assert repository.stage(JOB, SLUG, name) == (stage if stands else Stage(attempt=2, remote_id="j"))


def test_a_nims_pass_is_its_own(repository: RunRepository) -> None:
    for slug in "ab":
        repository.set_nim_status(JOB, slug, NimStatus.FAILED, error="why", undeployed_at=AT)
        repository.close_nim(JOB, slug, 0)
        repository.ask_lease(JOB, slug, "serving", 1)
    before = repository.nim(JOB, "b")
    assert repository.begin_nim_pass(JOB, "a", 1)
    nim = repository.nim(JOB, "a")
    assert (nim.status, nim.error, nim.undeployed_at) == (NimStatus.PENDING, None, None)
    assert (nim.pass_number, nim.closed_pass, nim.leases) == (1, 0, {})
    assert repository.nim(JOB, "b") == before
    assert [repository.begin_nim_pass(JOB, "a", number) for number in (0, 1)] == [False, False]


def test_of_many_tasks_of_a_nim_one_begins_its_pass(repository: RunRepository) -> None:
    together = Barrier(8)

    def begin(_: int) -> bool:
        together.wait()
        return repository.begin_nim_pass(JOB, SLUG, 1)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(begin, range(8))).count(True) == 1


def test_a_nim_is_closed_in_the_latest_pass_that_closed_it(repository: RunRepository) -> None:
    seen = []
    for number in (0, 2, 1):
        repository.close_nim(JOB, SLUG, number)
        seen.append(repository.nim(JOB, SLUG).closed_pass)
    assert seen == [0, 2, 2]


def test_a_lease_is_asked_for_once_and_a_time_that_is_set_stays(repository: RunRepository) -> None:
    repository.ask_lease(JOB, SLUG, "training", 2)
    first = repository.nim(JOB, SLUG).leases["training"]
    repository.ask_lease(JOB, SLUG, "training", 4)
    repository.set_lease(JOB, SLUG, "training", detail="0 of 2 GPUs are free")
    repository.set_lease(JOB, SLUG, "training", granted_at=AT, detail=None)
    repository.set_lease(JOB, SLUG, "training", granted_at="2027-01-01T00:00:00.000+00:00")
    lease = repository.nim(JOB, SLUG).leases["training"]
    assert lease == LeaseTimes(gpus=2, asked_at=first.asked_at, granted_at=AT)
    assert "serving" not in repository.nim(JOB, SLUG).leases


def test_a_lease_that_nobody_asked_for_gets_no_times(repository: RunRepository) -> None:
    repository.set_lease(JOB, SLUG, "serving", released_at=AT, detail="why")
    assert repository.nim(JOB, SLUG).leases == {}


@pytest.mark.parametrize(
    ("granted", "released", "waited"), [(None, None, 60.0), (30, 50, 30.0), (None, 20, 20.0), (-5, None, 0.0)]
)
def test_who_was_not_given_gpus_waited_until_it_left_the_line(
    granted: int | None, released: int | None, waited: float
) -> None:
    def after(seconds: int | None) -> str | None:
        begun = datetime.fromisoformat(AT)
        return None if seconds is None else (begun + timedelta(seconds=seconds)).isoformat()

    lease = LeaseTimes(gpus=1, asked_at=AT, granted_at=after(granted), released_at=after(released))
    assert lease.waited_seconds(str(after(60))) == waited


def test_a_step_has_the_times_of_the_last_time_it_worked(repository: RunRepository) -> None:
    def times() -> StepTimes:
        return repository.get(JOB).steps[StepName.DECIDE]

    with repository.at_step(JOB, StepName.DECIDE):
        assert times().finished_at is None
    first = times()
    assert first.finished_at is not None
    assert first.finished_at >= first.started_at
    with pytest.raises(StateError), repository.at_step(JOB, StepName.DECIDE):
        repository.get("f" * 24)
    assert times().finished_at is not None
    assert times().started_at >= first.finished_at


def test_a_step_of_a_run_that_is_not_written_down_writes_nothing(repository: RunRepository) -> None:
    with repository.at_step("f" * 24, StepName.PREPARE):
        pass
    assert repository.find("f" * 24) is None

"""Submitting: once, however often the task runs, and never behind the back of a cancel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from pymongo.database import Database

from include.flywheel.runs import ids
from include.flywheel.runs.documents import NimDocument, RunDocument, now
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import RunStatus, StageName, StageStatus
from include.nemo.states import JobState
from include.pipeline.run import Run
from include.pipeline.submit import submit_once

SLUG = "meta-llama-3.2-1b-instruct"
STAGE = StageName.BASE_EVAL


@dataclass
class Job:
    """A remote job."""

    id: str | None
    attempt: int
    state: JobState = field(default_factory=lambda: JobState("running"))


@dataclass
class Service:
    """A service whose jobs have no names: they are found by attempt."""

    jobs: list[Job] = field(default_factory=list)
    while_creating: Callable[[], None] = lambda: None

    def find(self, attempt: int) -> list[Job]:
        return [job for job in self.jobs if job.attempt == attempt]

    def create(self, attempt: int) -> Job:
        job = Job(f"eval-{len(self.jobs) + 1}", attempt)
        self.jobs.append(job)
        self.while_creating()
        return job

    def cancel(self, job_id: str) -> None:
        next(job for job in self.jobs if job.id == job_id).state = JobState("cancelled")


@pytest.fixture
def run(mongo_database: Database[dict[str, Any]]) -> Run:
    runs = RunRepository(mongo_database)
    runs.ensure_indexes()
    job_id = ids.job_id("flywheel_x", "r")
    runs.open(
        RunDocument(
            job_id=job_id,
            dag_id="flywheel_x",
            run_id="r",
            client_id="c",
            workload_id="w",
            status=RunStatus.RUNNING,
            created_at=now(),
        )
    )
    runs.open_nims([NimDocument(job_id=job_id, nim="meta/llama-3.2-1b-instruct", slug=SLUG, order=0)])
    return Run(job_id=job_id, dag_id="flywheel_x", run_id="r", runs=runs)


def submit(run: Run, service: Service) -> str:
    return submit_once(
        run,
        SLUG,
        STAGE,
        find=service.find,
        create=service.create,
        cancel=service.cancel,
        uri="http://nemo/{}".format,
    )


def test_a_second_run_of_the_task_finds_the_first_ones_job(run: Run) -> None:
    service = Service()
    assert submit(run, service) == submit(run, service) == "eval-1"
    assert len(service.jobs) == 1
    stage = run.runs.stage(run.job_id, SLUG, STAGE)
    assert (stage.remote_id, stage.attempt, stage.status) == ("eval-1", 1, StageStatus.SUBMITTED)


def test_a_task_killed_right_after_creating_makes_no_second_job(run: Run) -> None:
    service = Service()

    def killed() -> None:
        raise KeyboardInterrupt

    service.while_creating = killed
    with pytest.raises(KeyboardInterrupt):
        submit(run, service)
    service.while_creating = lambda: None
    assert submit(run, service) == "eval-1"
    assert len(service.jobs) == 1


@pytest.mark.parametrize("end", ["failed", "cancelled"])
def test_a_job_that_ended_badly_is_tried_again_as_the_next_attempt(run: Run, end: str) -> None:
    service = Service()
    submit(run, service)
    service.jobs[0].state = JobState(end)
    assert submit(run, service) == "eval-1", "not by itself"
    assert run.runs.begin_nim_pass(run.job_id, SLUG, 1)
    assert submit(run, service) == "eval-2"
    assert [job.attempt for job in service.jobs] == [1, 2]
    assert run.runs.stage(run.job_id, SLUG, STAGE).attempt == 2
    assert submit(run, service) == "eval-2"


def test_a_finished_job_is_used_again(run: Run) -> None:
    service = Service()
    submit(run, service)
    service.jobs[0].state = JobState("completed")
    assert submit(run, service) == "eval-1"
    assert len(service.jobs) == 1


def test_a_job_created_while_its_nim_was_closed_is_cancelled(run: Run) -> None:
    service = Service()
    service.while_creating = lambda: run.runs.update_nim(run.job_id, SLUG, closed_pass=0)
    with pytest.raises(AirflowFailException, match="removed again"):
        submit(run, service)
    assert [job.state for job in service.jobs] == ["cancelled"]


def test_a_job_created_while_the_run_was_cancelled_is_cancelled(run: Run) -> None:
    service = Service()
    service.while_creating = lambda: run.runs.request_cancel(run.job_id)
    with pytest.raises(AirflowFailException, match="removed again"):
        submit(run, service)
    assert [job.state for job in service.jobs] == ["cancelled"]


def test_nothing_is_submitted_for_a_cancelled_run(run: Run) -> None:
    run.runs.request_cancel(run.job_id)
    service = Service()
    with pytest.raises(AirflowFailException, match="nothing goes on"):
        submit(run, service)
    assert service.jobs == []


def test_a_service_that_gives_no_id_is_named(run: Run) -> None:
    service = Service()
    service.create = lambda attempt: Job(None, attempt)  # type: ignore[method-assign]
    with pytest.raises(AirflowFailException, match="without an id"):
        submit(run, service)

"""Sharing a NIM: joined without holding others up, deployed once, taken down with its last user."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.triggers.base import TaskFailedEvent, TaskSuccessEvent, TriggerEvent

from include.flywheel.config.nims import load_catalogue
from include.flywheel.errors import StateError
from include.flywheel.runs import ids
from include.flywheel.runs.documents import JudgeDocument, now
from include.flywheel.runs.leases.model import LeaseKind, LeaseRequest
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.shared import LEASE_OWNER
from include.flywheel.runs.states import StageName, StageStatus
from include.flywheel.runs.upkeep_reports import Action, Report
from include.pipeline import shared_nims
from include.pipeline.run import Run
from include.pipeline.shared_nims import Wanted
from include.pipeline.shared_trigger import SharedNimTrigger
from include.pipeline.upkeep import survey
from include.pipeline.upkeep.journal import Journal
from include.pipeline.upkeep.reconcile import Reconciler
from include.pipeline.upkeep.things import Kind
from include.stores.leases import open_leases
from include.stores.shared import open_shared

from .conftest import FakeNemo

JOB, OTHER = ids.job_id("flywheel_x", "r"), "f" * 24
NIM = load_catalogue()["meta/llama-3.1-8b-instruct"]
SLUG = "first"


class FakeDeployments(FakeNemo):
    """Deployments and the models that they serve."""

    def __init__(self) -> None:
        super().__init__()
        self.deployed: dict[str, str] = {}
        self.created: list[str] = []

    def answer(self, method: str, path: str, sent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if path.endswith("/nim/v1/models"):
            return 200, {"object": "list", "data": [{"id": model} for model in self.deployed.values()]}
        if "/model-deployments" not in path:
            return super().answer(method, path, sent)
        name = path.rpartition("/")[2]
        if method == "POST":
            self.deployed[sent["name"]] = sent["config"]["model"]
            self.created.append(sent["name"])
            name = sent["name"]
        if name not in self.deployed:
            return 404, {"detail": f"no {name}"}
        if method == "DELETE":
            del self.deployed[name]
            return 200, {"message": "gone"}
        status = {"status": self.state, "description": ""}
        return 200, {"name": name, "namespace": "flywheel", "status_details": status}


@pytest.fixture
def nemo(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDeployments]:
    fake = FakeDeployments()
    fake.state = "ready"
    url = f"http://127.0.0.1:{fake.server.server_address[1]}"
    extra = {"data_store_url": url, "nim_proxy_url": f"{url}/nim", "namespace": "flywheel"}
    monkeypatch.setenv("AIRFLOW_CONN_NEMO", json.dumps({"conn_type": "nemo", "host": url, "extra": extra}))
    yield fake
    fake.server.shutdown()
    fake.server.server_close()


@pytest.fixture
def run(open_run: Callable[..., RunRepository], resolved: dict[str, Any]) -> Run:
    judge = JudgeDocument(model=NIM.name, type="local", prompt_version="1", prompt_digest="d")
    runs = open_run({SLUG: "meta/first"}, resolved=resolved, judge=judge)
    return Run(JOB, "flywheel_x", "r", runs)


def wanted(job_id: str = JOB, total: int | None = 2, **more: Any) -> Wanted:
    return Wanted(purpose="judge", nim=NIM, job_id=job_id, pass_number=0, total=total, **more)


def trigger(asked: Wanted, seconds: float = 60) -> SharedNimTrigger:
    return SharedNimTrigger(
        wanted=asked.model_dump(mode="json"),
        turn_deadline_at=time.time() + seconds,
        kind="deployment",
        job="",
        served_model=NIM.name,
        poll_seconds=0.05,
        max_poll_seconds=0.1,
    )


async def end_of(waiting: SharedNimTrigger) -> TriggerEvent:
    [event] = [event async for event in waiting.run()]
    return event


async def until(ready: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not ready():
            await asyncio.sleep(0.02)


def has_its_gpus(run: Run) -> None:
    for stage in (StageName.CUSTOMIZE, StageName.DEPLOY):
        run.runs.set_stage(JOB, SLUG, stage, status=StageStatus.RUNNING.value, submitted_at="2026-01-01")


async def test_it_asks_for_nothing_while_a_nim_of_the_run_waits(run: Run, nemo: FakeDeployments) -> None:
    waiting = asyncio.create_task(end_of(trigger(wanted())))
    await asyncio.sleep(0.8)
    assert open_leases().held() + open_leases().waiting() == []
    assert open_shared().all() == []
    has_its_gpus(run)
    assert isinstance(await asyncio.wait_for(waiting, 20), TaskSuccessEvent)
    [lease] = open_leases().held()
    assert (lease.job_id, lease.kind) == (LEASE_OWNER, LeaseKind.SERVING)
    judge = run.runs.get(JOB).judge
    assert judge is not None
    assert (judge.deployment_status, judge.deployment) == ("ready", nemo.created[0])


async def test_two_runs_share_one_deployment_and_one_lease(run: Run, nemo: FakeDeployments) -> None:
    has_its_gpus(run)
    assert isinstance(await end_of(trigger(wanted())), TaskSuccessEvent)
    assert shared_nims.join(wanted(OTHER)) is not None
    nim = open_shared().used_by(OTHER)[0]
    assert shared_nims.ask_for_gpus(nim, wanted(OTHER)).granted
    shared_nims.deploy_shared(nim, wanted(OTHER))
    assert len(nemo.created) == 1
    assert len(open_leases().held()) == 1
    shared_nims.leave_shared(run)
    assert list(nemo.deployed) == nemo.created, "another run uses it"
    judge = run.runs.get(JOB).judge
    assert judge is not None
    assert judge.deployment_status == "completed"
    shared_nims.leave(*wanted(OTHER).key)
    assert nemo.deployed == {}
    assert open_leases().held() == []
    assert open_shared().all() == []


async def test_it_waits_for_gpus_like_any_other(run: Run, nemo: FakeDeployments) -> None:
    has_its_gpus(run)
    other = LeaseRequest(job_id=OTHER, slug="x", kind=LeaseKind.SERVING, gpus=1, total=1, try_number=1)
    assert open_leases().take(other).granted
    waiting = asyncio.create_task(end_of(trigger(wanted(total=1))))
    await until(lambda: bool(open_leases().waiting()))
    assert nemo.created == []
    open_leases().release(OTHER, "x")
    assert isinstance(await asyncio.wait_for(waiting, 20), TaskSuccessEvent)


async def test_a_killed_wait_leaves_nothing(run: Run, nemo: FakeDeployments) -> None:
    has_its_gpus(run)
    other = LeaseRequest(job_id=OTHER, slug="x", kind=LeaseKind.SERVING, gpus=1, total=1, try_number=1)
    assert open_leases().take(other).granted
    waiting = trigger(wanted(total=1))
    task = asyncio.create_task(end_of(waiting))
    await until(lambda: bool(open_leases().waiting()))
    await waiting.on_kill()
    event = await asyncio.wait_for(task, 20)
    assert isinstance(event, TaskFailedEvent), "it sees that it was ended, and asks no more"
    assert open_leases().waiting() == []
    assert open_shared().all() == []


async def test_a_deployment_that_fails_is_left_and_says_why(run: Run, nemo: FakeDeployments) -> None:
    has_its_gpus(run)
    nemo.state = "failed"
    assert isinstance(await end_of(trigger(wanted())), TaskFailedEvent)
    judge = run.runs.get(JOB).judge
    assert judge is not None
    assert judge.deployment_status == "failed"
    assert judge.error
    assert run.runs.get(JOB).error is None, "it costs the judge's scores and nothing else"
    assert nemo.deployed == {}
    assert open_leases().held() == []


async def test_after_a_restart_it_finds_what_it_did(run: Run, nemo: FakeDeployments) -> None:
    has_its_gpus(run)
    nemo.state = "pending"
    first = asyncio.create_task(end_of(trigger(wanted())))
    await until(lambda: bool(nemo.created))
    first.cancel()
    path, arguments = trigger(wanted()).serialize()
    assert path == "include.pipeline.shared_trigger.SharedNimTrigger"
    nemo.state = "ready"
    assert isinstance(await end_of(SharedNimTrigger(**arguments)), TaskSuccessEvent)
    assert len(nemo.created) == 1
    assert len(open_leases().held()) == 1


def test_who_joins_helps_to_end_what_a_killed_one_began(run: Run, nemo: FakeDeployments) -> None:
    nim = shared_nims.join(wanted())
    assert nim is not None
    shared_nims.ask_for_gpus(nim, wanted())
    shared_nims.deploy_shared(nim, wanted())
    open_shared().leave(*wanted().key)
    assert shared_nims.join(wanted(OTHER)) is None
    assert nemo.deployed == {}
    assert open_leases().held() == []
    assert shared_nims.join(wanted(OTHER)) is not None


def test_a_deployment_of_a_run_that_left_meanwhile_goes_again(run: Run, nemo: FakeDeployments) -> None:
    nim = shared_nims.join(wanted())
    assert nim is not None
    shared_nims.leave(*wanted().key)
    with pytest.raises(StateError, match="no more"):
        shared_nims.deploy_shared(nim, wanted())
    with pytest.raises(StateError, match="no more"):
        shared_nims.ask_for_gpus(nim, wanted())
    assert nemo.created == []
    assert open_leases().held() == []


@pytest.mark.parametrize(
    ("stages", "waits"),
    [
        ({}, True),
        ({StageName.CUSTOMIZE: {"submitted_at": "t"}}, True),
        ({StageName.CUSTOMIZE: {"submitted_at": "t"}, StageName.DEPLOY: {"submitted_at": "t"}}, False),
        ({StageName.CUSTOMIZE: {"status": "skipped"}, StageName.DEPLOY: {"status": "failed"}}, False),
    ],
)
def test_a_nim_waits_until_both_its_leases_came(
    run: Run, stages: dict[StageName, dict[str, str]], waits: bool
) -> None:
    for stage, fields in stages.items():
        run.runs.set_stage(JOB, SLUG, stage, **{"status": "running", **fields})
    assert (shared_nims.waits_for_gpus(run, None) is not None) is waits
    run.runs.close_nim(JOB, SLUG, 0)
    assert shared_nims.waits_for_gpus(run, None) is None, "what was taken down waits for nothing"


def test_in_a_retry_only_what_is_done_again_counts(run: Run) -> None:
    run.runs.close_nim(JOB, SLUG, 0)
    again = Run(JOB, "flywheel_x", "r", run.runs, pass_number=1)
    assert shared_nims.waits_for_gpus(again, (SLUG,)) is not None, "it has not begun yet"
    assert shared_nims.waits_for_gpus(again, ()) is None


def test_upkeep_leaves_for_runs_that_are_over_and_ends_what_nobody_uses(
    run: Run, nemo: FakeDeployments
) -> None:
    nim = shared_nims.join(wanted())
    assert nim is not None
    assert shared_nims.ask_for_gpus(nim, wanted()).granted
    shared_nims.deploy_shared(nim, wanted())
    assert [(one.kind, one.name, one.job_id) for one in survey.shared_uses()] == [
        (Kind.SHARED, nim.deployment, JOB)
    ]
    assert survey.leases() == [], "its GPUs belong to no run"
    report = Report(report_id="r", dry_run=False, started_at=now())
    reconciler = Reconciler(Journal(report, datetime.now(UTC)), lambda *_: True, timedelta(0))
    reconciler._unused()
    assert report.rows == [], "it is in use"
    open_shared().leave(*wanted().key)
    reconciler._unused()
    [row] = report.rows
    assert (row.kind, row.name, row.action) == ("shared", nim.deployment, Action.REMOVED)
    assert nemo.deployed == {}
    assert open_leases().held() == []
    assert open_shared().all() == []

"""Orphans of every kind, looked at in a dry run, and removed by the next run of the DAG."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pymongo import MongoClient

from include.flywheel.runs import ids
from include.flywheel.runs.documents import NimDocument, RunDocument, now
from include.flywheel.runs.leases.model import LeaseKind, LeaseRequest
from include.flywheel.runs.leases.repository import LeaseRepository
from include.flywheel.runs.states import NimStatus, RunStatus
from include.flywheel.runs.upkeep_reports import Action, Report, UpkeepReports

from .conftest import SUPPORT
from .world import World

UPKEEP = "flywheel_upkeep"
SLUG = "meta-llama-3.2-1b-instruct"
NIM = {"image_name": "nvcr.io/nim/meta/llama-3.2-1b-instruct", "image_tag": "1.8.3", "gpu": 1}
CHECK = {"type": "string-check", "params": {"check": ["{{ item.a }}", "equals", "{{ item.b }}"]}}
EVALUATION = {"type": "custom", "tasks": {"t": {"type": "data", "metrics": {"same": CHECK}}}}
KINDS = {"deployment", "evaluation", "lease", "staging", "dataset"}


@pytest.fixture
def database(world: World) -> Iterator[Any]:
    with MongoClient[dict[str, Any]]("127.0.0.1", world.stack.ports.mongo) as client:
        yield client["flywheel"]


@pytest.fixture
def held(world: World) -> Iterator[None]:
    world.behave("evaluation", "", {"hold": True})
    yield
    world.nemo.delete("/_local/behaviours").raise_for_status()


def test_orphans_are_found_and_removed(world: World, database: Any, held: None) -> None:
    orphan, lost = ids.job_id("flywheel_gone", "orphan"), ids.job_id(SUPPORT, "never-was-started")
    _leave_everything(world, database, orphan)
    _write_lost_run(world, lost)
    _deploy(world, "foreign", "somebody-elses")
    world.api.wait_for_dag(UPKEEP)
    world.api.unpause(UPKEEP)

    dry = _upkeep(world, database, "looks", dry_run=True)
    assert _of(dry, orphan) == dict.fromkeys(KINDS, Action.WOULD_REMOVE)
    assert _of(dry, lost) == {"run": Action.WOULD_REPAIR}
    assert _left(world, database, orphan) == KINDS
    assert world.runs.get(lost).status is RunStatus.RUNNING

    # What cannot be removed fails the DAG run, and stops nothing else.
    fault = {"method": "DELETE", "path_regex": ids.deployment(orphan, SLUG), "status": 403}
    world.nemo.post("/_local/faults", json=fault).raise_for_status()
    failed = _upkeep(world, database, "fails", dry_run=False, state="failed")
    world.nemo.delete("/_local/faults").raise_for_status()
    assert _of(failed, orphan)["deployment"] is Action.FAILED
    assert _of(failed, lost) == {"run": Action.REPAIRED}
    assert {"deployment", "lease"} <= _left(world, database, orphan)

    real = _upkeep(world, database, "removes", dry_run=False)
    assert set(_of(real, orphan).values()) == {Action.REMOVED}
    assert {row.run for row in real.rows} == {orphan}
    assert _left(world, database, orphan) == set()
    assert "foreign" in world.remote("somebody-elses")["deployments"]
    _undeploy(world, "foreign")

    run = world.runs.get(lost)
    assert run.status is RunStatus.FAILED
    assert "DAG run" in str(run.error)
    assert run.everything_down_at
    assert world.runs.nim(lost, SLUG).status is NimStatus.FAILED
    [event] = world.received(lost)
    assert event["event"] == "run.failed"

    counts = Counter(row.kind for row in real.rows)
    assert counts == {kind: sum(real.counts[kind].values()) for kind in real.counts}
    log = world.api.task_log(UPKEEP, "removes", "report")
    assert f"{len(real.rows)} removed" in log
    assert all(row.kind in log for row in real.rows)
    assert orphan in log


def _upkeep(world: World, database: Any, run_id: str, *, dry_run: bool, state: str = "success") -> Report:
    world.api.start(UPKEEP, run_id, {"dry_run": dry_run, "grace_minutes": 0})
    assert world.finish(UPKEEP, run_id) == state
    report = UpkeepReports(database).get(run_id)
    assert report.dry_run is dry_run
    assert report.finished_at
    return report


def _of(report: Report, job_id: str) -> dict[str, Action]:
    return {row.kind: row.action for row in report.rows if row.run == job_id}


def _leave_everything(world: World, database: Any, job_id: str) -> None:
    project, name = ids.project(job_id), ids.dataset(job_id)
    _deploy(world, ids.deployment(job_id, SLUG), project)
    target = {"type": "rows", "rows": [{"a": "1", "b": "1"}]}
    _post(
        world,
        "/v1/evaluation/jobs",
        {"namespace": "flywheel", "config": EVALUATION, "target": target, "project": project},
    )
    url = f"hf://datasets/flywheel/{name}"
    _post(
        world,
        "/v1/datasets",
        {"name": name, "namespace": "flywheel", "files_url": url, "project": project},
    )
    folder = world.stack.layout.staging / job_id
    folder.mkdir()
    (folder / "train.jsonl").write_text("{}\n")
    request = LeaseRequest(job_id=job_id, slug=SLUG, kind=LeaseKind.SERVING, gpus=1, total=100, try_number=1)
    assert LeaseRepository(database).take(request).granted


def _write_lost_run(world: World, job_id: str) -> None:
    """A run that goes on by its document, of which Airflow knows nothing."""
    world.runs.open(
        RunDocument(
            job_id=job_id,
            dag_id=SUPPORT,
            run_id="never-was-started",
            client_id="acme-shop",
            workload_id="support_agent",
            status=RunStatus.RUNNING,
            created_at=now(),
        )
    )
    world.runs.open_nims([NimDocument(job_id=job_id, nim="meta/llama-3.2-1b-instruct", slug=SLUG, order=0)])


def _left(world: World, database: Any, job_id: str) -> set[str]:
    remote = world.remote(ids.project(job_id))
    found = {
        "deployment": remote["deployments"],
        "evaluation": remote["live_jobs"],
        "dataset": remote["datasets"],
        "staging": (world.stack.layout.staging / job_id).exists(),
        "lease": [one for one in LeaseRepository(database).held() if one.job_id == job_id],
    }
    return {kind for kind, there in found.items() if there}


def _deploy(world: World, name: str, project: str) -> None:
    config = {"model": "meta/llama-3.2-1b-instruct", "nim_deployment": NIM}
    body = {"name": name, "namespace": "flywheel", "config": config, "project": project}
    _post(world, "/v1/deployment/model-deployments", body)


def _undeploy(world: World, name: str) -> None:
    world.nemo.delete(f"/v1/deployment/model-deployments/flywheel/{name}").raise_for_status()


def _post(world: World, path: str, body: dict[str, Any]) -> httpx.Response:
    return world.nemo.post(path, json=body).raise_for_status()

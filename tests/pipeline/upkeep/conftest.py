"""A NeMo, a MongoDB and a staging folder with things of runs in them, as the clean-up's tasks see them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import uvicorn
from pymongo.database import Database

from include.airflow_nemo.hook import NemoHook
from include.flywheel.runs import ids
from include.flywheel.runs.documents import NimDocument, RunDocument, now
from include.flywheel.runs.leases.model import LeaseKind, LeaseRequest
from include.flywheel.runs.leases.repository import LeaseRepository
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import RunStatus
from include.flywheel.runs.upkeep_reports import Report, UpkeepReports
from include.nemo import deployments, entities, evaluator
from include.nemo.datastore import create_namespace, get_namespace
from include.nemo_local.app import create_app
from include.nemo_local.settings import Settings
from include.pipeline.upkeep.journal import Journal
from include.stores import jobs, leases, runs, upkeep

SLUG = "meta-llama-3.2-1b-instruct"
DURATIONS = ("deploy_seconds", "evaluation_seconds", "training_seconds", "adapter_listing_seconds")
CHECK = {"type": "string-check", "params": {"check": ["{{ item.a }}", "equals", "{{ item.b }}"]}}
CONFIG = {"type": "custom", "tasks": {"t": {"type": "data", "metrics": {"same": CHECK}}}}


@dataclass
class Field:
    """Everything that a run can leave behind; `live` are the runs that Airflow works on."""

    staging: Path
    runs: RunRepository
    leases: LeaseRepository
    database: Database[dict[str, Any]]
    http: httpx.Client
    live: set[tuple[str, str]] = field(default_factory=set)

    def is_live(self, dag_id: str, run_id: str) -> bool:
        return (dag_id, run_id) in self.live

    def journal(self, *, dry_run: bool = False, later: timedelta = timedelta()) -> Journal:
        report = Report(report_id="r", dry_run=dry_run, started_at=now())
        return Journal(report, datetime.now(UTC) + later)

    def write_run(self, name: str, status: RunStatus = RunStatus.RUNNING, **fields: Any) -> str:
        job_id = ids.job_id("flywheel_x", name)
        fields = {"client_id": "c", "workload_id": "w", "created_at": now()} | fields
        self.runs.open(RunDocument(job_id=job_id, dag_id="flywheel_x", run_id=name, status=status, **fields))
        self.runs.open_nims(
            [NimDocument(job_id=job_id, nim="meta/llama-3.2-1b-instruct", slug=SLUG, order=0)]
        )
        return job_id

    def deploy(self, job_id: str, *, name: str | None = None, project: str | None = None) -> str:
        name = name or ids.deployment(job_id, SLUG)
        nim = {"image_name": "nvcr.io/nim/meta/llama-3.2-1b-instruct", "image_tag": "1.8.3", "gpu": 1}
        config = {"model": "meta/llama-3.2-1b-instruct", "nim_deployment": nim}
        with NemoHook().client() as nemo:
            nemo.send(
                deployments.create("flywheel", name, config=config, project=project or ids.project(job_id))
            )
        return name

    def evaluate(self, project: str) -> str:
        """A job that goes on until it is cancelled."""
        self.http.post("/_local/behaviours", json={"kind": "evaluation", "hold": True}).raise_for_status()
        target = {"type": "rows", "rows": [{"a": "1", "b": "1"}]}
        with NemoHook().client() as nemo:
            job = nemo.send(
                evaluator.create_job(namespace="flywheel", config=CONFIG, target=target, project=project)
            )
        assert job.id
        return job.id

    def upload(self, job_id: str) -> str:
        name, hook = ids.dataset(job_id), NemoHook()
        with hook.client() as nemo:
            nemo.ensure(create_namespace("flywheel"), get_namespace("flywheel"))
            hook.data_store().ensure_repo(f"flywheel/{name}")
            url = f"hf://datasets/flywheel/{name}"
            nemo.send(entities.create_dataset("flywheel", name, files_url=url, project=ids.project(job_id)))
        return url

    def stage(self, name: str) -> Path:
        folder = self.staging / name
        folder.mkdir()
        (folder / "train.jsonl").write_text("{}\n")
        return folder

    def lease(self, job_id: str) -> None:
        request = LeaseRequest(
            job_id=job_id, slug=SLUG, kind=LeaseKind.SERVING, gpus=1, total=4, try_number=1
        )
        assert self.leases.take(request).granted

    def leave_everything(self, job_id: str) -> None:
        self.deploy(job_id)
        self.evaluate(ids.project(job_id))
        self.upload(job_id)
        self.stage(job_id)
        self.lease(job_id)

    def left(self, job_id: str) -> set[str]:
        """The kinds of things that there still are of the run."""
        project = ids.project(job_id)

        def rows(path: str) -> list[dict[str, Any]]:
            found = self.http.get(path, params={"page_size": 1000}).raise_for_status().json()["data"]
            return [row for row in found if row["project"] == project]

        going = [row for row in rows("/v1/evaluation/jobs") if row["status"] not in {"cancelled", "failed"}]
        repo = self.http.get(f"/v1/hf/api/datasets/flywheel/{ids.dataset(job_id)}").status_code == 200
        found = {
            "deployment": rows("/v1/deployment/model-deployments"),
            "evaluation": going,
            "dataset": rows("/v1/datasets"),
            "files": repo,
            "staging": (self.staging / job_id).exists(),
            "lease": [one for one in self.leases.held() if one.job_id == job_id],
        }
        return {kind for kind, there in found.items() if there}


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("stand_in"), gpus=64, **dict.fromkeys(DURATIONS, 0.05)
    )
    server = uvicorn.Server(uvicorn.Config(create_app(settings), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the stand-in ended before it was ready"
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(5)


@pytest.fixture
def plot(
    _server: str,
    mongo_uri: str,
    mongo_database: Database[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Field]:
    """The tasks' connections lead here."""
    at = urlsplit(mongo_uri)
    mongo = {"conn_type": "mongo", "host": at.hostname, "port": at.port, "schema": mongo_database.name}
    extra = {"data_store_url": _server, "nim_proxy_url": f"{_server}/nim", "namespace": "flywheel"}
    nemo = {"conn_type": "nemo", "host": _server, "extra": extra}
    staging = tmp_path / "staging"
    staging.mkdir()
    monkeypatch.setenv("AIRFLOW_CONN_FLYWHEEL_RUNS", json.dumps(mongo))
    monkeypatch.setenv("AIRFLOW_CONN_NEMO", json.dumps(nemo))
    monkeypatch.setenv("AIRFLOW_VAR_FLYWHEEL_STAGING_URL", staging.as_uri())
    for store in (runs, leases, upkeep, jobs):
        store._open.cache_clear()
    repository = runs.open_runs()
    UpkeepReports(mongo_database).ensure_indexes()
    with httpx.Client(base_url=_server, timeout=30) as http:
        yield Field(staging, repository, leases.open_leases(), mongo_database, http)
        _clear(http)
    for store in (runs, leases, upkeep, jobs):
        store._open.cache_clear()


def _clear(http: httpx.Client) -> None:
    for what in ("faults", "behaviours"):
        http.delete(f"/_local/{what}").raise_for_status()
    for one in http.get("/v1/datasets", params={"page_size": 1000}).json()["data"]:
        NemoHook().data_store().delete_repo(f"{one['namespace']}/{one['name']}")
    paths: dict[str, Callable[[dict[str, Any]], str]] = {
        "/v1/deployment/model-deployments": lambda one: f"{one['namespace']}/{one['name']}",
        "/v1/datasets": lambda one: f"{one['namespace']}/{one['name']}",
        "/v1/evaluation/jobs": lambda one: str(one["id"]),
    }
    for path, name in paths.items():
        for one in http.get(path, params={"page_size": 1000}).json()["data"]:
            http.delete(f"{path}/{name(one)}")

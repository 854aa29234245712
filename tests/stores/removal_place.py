"""A stand-in for NeMo, a MongoDB and a staging folder, in which a run has left everything that it can."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from pymongo.database import Database

from include.flywheel.evaluation.scores import StageScores
from include.flywheel.evaluation.specs import Stage
from include.flywheel.runs import ids
from include.flywheel.runs.documents import NimDocument, RunDocument, StepTimes, now
from include.flywheel.runs.leases.model import LeaseKind, LeaseRequest
from include.flywheel.runs.leases.repository import LeaseRepository
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import RunStatus, StepName
from include.nemo import customizer, deployments, entities, evaluator
from include.nemo.datastore import create_namespace, get_namespace
from include.nemo_local.app import create_app
from include.nemo_local.settings import Settings
from include.stores.nemo import open_nemo

NAMESPACE, SLUG = "flywheel", "meta-llama-3.2-1b-instruct"
NIM = "meta/llama-3.2-1b-instruct"
CHECK = {"type": "string-check", "params": {"check": ["{{ item.a }}", "equals", "{{ item.b }}"]}}
CONFIG = {"type": "custom", "tasks": {"t": {"type": "data", "metrics": {"same": CHECK}}}}
ROW = {
    "messages": [{"role": "user", "content": "where is it"}, {"role": "assistant", "content": "on its way"}]
}
FAST = dict.fromkeys(("deploy_seconds", "evaluation_seconds", "training_seconds"), 0.02)


@dataclass
class Counted:
    """The stand-in's application; `at` is called with the number of each request once it was served."""

    app: Any
    at: Callable[[int], None] = lambda _: None
    requests: int = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/_local/"):
            await self.app(scope, receive, send)
            return
        self.requests += 1
        number = self.requests

        async def told(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.at(number)
            await send(message)

        await self.app(scope, receive, told)


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, Counted]]:
    counted = Counted(create_app(Settings(data_dir=folder, gpus=64, adapter_listing_seconds=0.02, **FAST)))
    server = uvicorn.Server(uvicorn.Config(counted, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the stand-in ended before it was ready"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", counted
    finally:
        server.should_exit = True
        thread.join(5)


@dataclass
class Place:
    """Where runs leave things. `url` is the stand-in's."""

    url: str
    counted: Counted
    database: Database[dict[str, Any]]
    runs: RunRepository
    leases: LeaseRepository
    staging: Path
    http: httpx.Client
    monkeypatch: Any

    def data_store_at(self, url: str) -> None:
        extra = {"data_store_url": url, "nim_proxy_url": f"{self.url}/nim", "namespace": NAMESPACE}
        connection = {"conn_type": "nemo", "host": self.url, "extra": extra}
        self.monkeypatch.setenv("AIRFLOW_CONN_NEMO", json.dumps(connection))

    def fault(self, **fields: Any) -> None:
        self.http.post("/_local/faults", json=fields).raise_for_status()

    def mend(self) -> None:
        self.http.delete("/_local/faults").raise_for_status()

    def write_run(self, name: str = "r", status: RunStatus = RunStatus.COMPLETED, **fields: Any) -> str:
        job_id = ids.job_id("flywheel_x", name)
        ended = {} if not status.is_over else {"finished_at": now(), "everything_down_at": now()}
        steps = {StepName.CLOSE_RUN: StepTimes(started_at=now(), finished_at=now())}
        fields = {"client_id": "c", "workload_id": "w", "created_at": now(), "steps": steps} | ended | fields
        self.runs.open(RunDocument(job_id=job_id, dag_id="flywheel_x", run_id=name, status=status, **fields))
        self.runs.open_nims([NimDocument(job_id=job_id, nim=NIM, slug=SLUG, order=0)])
        scores = StageScores(
            nim=NIM, model=NIM, stage=Stage.BASE, scores={"s": [1.0]}, item_ids=["0"], conversation_ids=["c"]
        )
        self.runs.save_scores(job_id, SLUG, scores)
        return job_id

    def leave_everything(self, job_id: str) -> None:
        """Everything, with a model that was registered, not trained: that takes a second."""
        self._upload(job_id)
        self._deploy(job_id)
        self._evaluate(job_id)
        self._register_model(job_id)
        folder = self.staging / job_id
        folder.mkdir()
        (folder / "train.jsonl").write_text("{}\n")
        request = LeaseRequest(
            job_id=job_id, slug=SLUG, kind=LeaseKind.SERVING, gpus=1, total=99, try_number=1
        )
        assert self.leases.take(request).granted

    def customize(self, job_id: str) -> str:
        """A real training; returns its output model."""
        name = ids.customization(job_id, SLUG, 1)
        with open_nemo().client() as nemo:
            [config, *_] = [
                one for one in nemo.collect(customizer.list_configs()) if "3.2-1b" in str(one.name)
            ]
            job = nemo.send(
                customizer.create_job(
                    namespace=NAMESPACE,
                    config=f"{config.namespace}/{config.name}",
                    dataset=f"{NAMESPACE}/{ids.dataset(job_id)}",
                    hyperparameters={"training_type": "sft", "finetuning_type": "lora", "epochs": 1},
                    output_model=f"{NAMESPACE}/{name}",
                    project=ids.project(job_id),
                )
            )
            deadline = time.monotonic() + 20
            while not (found := nemo.send(customizer.get_job(str(job.id)))).state.is_terminal:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert found.state == "completed", found
        return str(found.output_model)

    def _upload(self, job_id: str) -> None:
        nemo, name = open_nemo(), ids.dataset(job_id)
        repo = f"{NAMESPACE}/{name}"
        with nemo.client() as client:
            client.ensure(create_namespace(NAMESPACE), get_namespace(NAMESPACE))
            nemo.data_store().ensure_repo(repo)
            rows = (json.dumps(ROW) + "\n").encode() * 12
            nemo.data_store().upload_file(repo, "training/train.jsonl", rows)
            client.send(
                entities.create_dataset(
                    NAMESPACE, name, files_url=f"hf://datasets/{repo}", project=ids.project(job_id)
                )
            )

    def _deploy(self, job_id: str) -> None:
        nim = {"image_name": f"nvcr.io/nim/{NIM}", "image_tag": "1.8.3", "gpu": 1}
        config = {"model": NIM, "nim_deployment": nim}
        with open_nemo().client() as nemo:
            nemo.send(
                deployments.create(
                    NAMESPACE, ids.deployment(job_id, SLUG), config=config, project=ids.project(job_id)
                )
            )

    def _evaluate(self, job_id: str) -> None:
        target = {"type": "rows", "rows": [{"a": "1", "b": "1"}]}
        with open_nemo().client() as nemo:
            for _ in range(2):
                nemo.send(
                    evaluator.create_job(
                        namespace=NAMESPACE, config=CONFIG, target=target, project=ids.project(job_id)
                    )
                )

    def _register_model(self, job_id: str) -> None:
        repo = ids.customization(job_id, SLUG, 1)
        body = {"name": repo, "organization": NAMESPACE, "type": "model"}
        self.http.post("/v1/hf/api/repos/create", json=body).raise_for_status()
        with open_nemo().client() as nemo:
            fields = {"base_model": NIM, "project": ids.project(job_id)}
            nemo.send(entities.create_model(NAMESPACE, f"{repo}@cust-1", fields=fields))

    def left(self, job_id: str) -> set[str]:
        """The kinds of things that there still are of the run, as the services list them."""

        def rows(path: str) -> list[dict[str, Any]]:
            found = self.http.get(path, params={"page_size": 1000}).raise_for_status().json()["data"]
            return [row for row in found if row.get("project") == ids.project(job_id)]

        def repo(kind: str, name: str) -> bool:
            return self.http.get(f"/v1/hf/api/{kind}/{NAMESPACE}/{name}").status_code == 200

        found = {
            "deployment": rows("/v1/deployment/model-deployments"),
            "evaluation": rows("/v1/evaluation/jobs"),
            "training": [
                row
                for row in rows("/v1/customization/jobs")
                if row["status"] not in {"completed", "cancelled", "failed"}
            ],
            "model": rows("/v1/models"),
            "model files": repo("models", ids.customization(job_id, SLUG, 1)),
            "dataset": rows("/v1/datasets"),
            "dataset files": repo("datasets", ids.dataset(job_id)),
            "staging": (self.staging / job_id).exists(),
            "lease": [one for one in self.leases.held() if one.job_id == job_id],
            "scores": self.runs.scores(job_id),
            "nims": self.runs.nims(job_id),
        }
        return {kind for kind, there in found.items() if there}


EVERYTHING = {
    "deployment",
    "evaluation",
    "model",
    "model files",
    "dataset",
    "dataset files",
    "staging",
    "lease",
    "scores",
    "nims",
}

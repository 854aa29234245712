"""The same DAGs on CeleryExecutor: two workers on machines of their own share a bucket, and no disk."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo import MongoClient

from include.flywheel.runs import ids
from include.flywheel.runs.leases.repository import LeaseRepository
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import NimStatus, RunStatus
from include.local_stack import airflow_config
from include.local_stack.airflow_api import AirflowApi
from include.local_stack.layout import PROJECT_ROOT, Layout, Ports
from include.local_stack.stack import Stack

sys.path.insert(0, str(Path(__file__).parent))
from cluster import (
    SUPPORT,
    WORKERS,
    Cluster,
    need_namespaces,
    need_redis,
    settings,
    start_stores,
    until,
)

pytestmark = [pytest.mark.slow, pytest.mark.e2e]

CONF: dict[str, Any] = {
    "client_id": "acme-shop",
    "workload_id": "support_agent",
    "data_split_config": {"eval_size": 40, "limit": 500},
    "nims": ["meta/llama-3.2-1b-instruct", "meta/llama-3.2-3b-instruct"],
}
LIMIT_SECONDS = 600.0
MAKERS = {f"nim.{name}" for name in ("customize", "deploy", "base_eval", "icl_eval", "customized_eval")}


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Layout]:
    one = Layout(tmp_path_factory.mktemp("stack") / "state")
    yield one
    # As root it lies elsewhere than the test's folder.
    shutil.rmtree(one.postgres, ignore_errors=True)


@pytest.fixture(scope="module")
def cluster(layout: Layout, free_port: Callable[[], int]) -> Iterator[Cluster]:
    need_namespaces()
    redis = need_redis()
    ports = Ports.free()
    beside = {name: free_port() for name in ("redis", "s3", "elasticsearch")}
    mongo: MongoClient[dict[str, Any]] = MongoClient("127.0.0.1", ports.mongo)
    with Stack(layout, ports, environment=settings(beside["redis"])) as stack:
        stack.start_services()
        start_stores(stack, redis, beside)
        stack.start_airflow()
        password = airflow_config.passwords(layout)["admin"]
        with (
            AirflowApi(stack.airflow_url, "admin", password) as api,
            httpx.Client(base_url=stack.nemo_url, timeout=30) as nemo,
        ):
            api.wait_for_dag(SUPPORT)
            api.unpause(SUPPORT)
            database, endpoint = mongo["flywheel"], f"http://127.0.0.1:{beside['s3']}"
            one = Cluster(stack, endpoint, api, RunRepository(database), LeaseRepository(database), nemo)
            for name in WORKERS:
                one.start_worker(name)
            yield one


def ended_well(cluster: Cluster, run_id: str) -> None:
    """What must hold of every run, disturbed or not."""
    job_id = ids.job_id(SUPPORT, run_id)
    run = cluster.runs.get(job_id)
    assert (cluster.api.run_state(SUPPORT, run_id), run.status) == ("success", RunStatus.COMPLETED), run.error
    nims = cluster.runs.nims(job_id)
    assert {nim.status for nim in nims} == {NimStatus.COMPLETED}, [nim.error for nim in nims]
    jobs = Counter(cluster.jobs(job_id))
    assert set(jobs.values()) == {1}, f"one remote job for each NIM and stage, not {jobs}"
    assert cluster.deployments(job_id) == []
    assert [one for one in cluster.leases.held() if one.job_id == job_id] == []
    assert cluster.staged() == []


def test_workers_that_share_no_disk_run_one_run_together(cluster: Cluster) -> None:
    staged: set[str] = set()
    cluster.api.start(SUPPORT, "together", CONF)
    cluster.finish("together", LIMIT_SECONDS, lambda: staged.update(cluster.staged()))
    ended_well(cluster, "together")

    assert set(cluster.tasks_on("together")) - {""} == set(WORKERS), "both worked, and nobody else"
    job_id = ids.job_id(SUPPORT, "together")
    dataset = cluster.runs.get(job_id).dataset
    assert dataset is not None
    assert staged == {f"runs/{job_id}/{file['name']}" for file in dataset["files"]}
    log = cluster.api.task_log(SUPPORT, "together", "upload_datasets")
    assert "uploading" in log, "the API server has the log of a task that ran on another machine"


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_has_no_disk_but_its_own(cluster: Cluster, name: str) -> None:
    root = cluster.root_of(name)
    state = cluster.stack.layout.state
    assert list((root / str(state).lstrip("/")).glob("*")) == [], "it sees nothing of the stack's"
    assert list(state.glob("*")), "which there is"
    for folder in (PROJECT_ROOT, Path("/")):
        assert os.statvfs(root / str(folder).lstrip("/")).f_flag & os.ST_RDONLY
    # Logs are deleted once they are in the bucket.
    until(f"{name} keeps nothing of a run", lambda: cluster.written_by(name) == {"tmp/airflow/airflow.cfg"})


def test_a_worker_whose_machine_is_lost(cluster: Cluster) -> None:
    lost, other = WORKERS
    cluster.api.start(SUPPORT, "lost", CONF)

    def caught() -> dict[str, Any] | None:
        """Such a task, on a worker that does not move any more."""
        if not (found := in_the_middle(cluster, lost)):
            return None
        cluster.signal(lost, signal.SIGSTOP)
        if still := [one for one in in_the_middle(cluster, lost) if one["id"] == found[0]["id"]]:
            return still[0]
        cluster.signal(lost, signal.SIGCONT)
        return None

    task = until("a task that makes something, on the first worker", caught)
    cluster.signal(lost, signal.SIGKILL)
    cluster.finish("lost", LIMIT_SECONDS)
    ended_well(cluster, "lost")
    [again] = [
        one
        for one in cluster.api.task_instances(SUPPORT, "lost")
        if (one["task_id"], one["map_index"]) == (task["task_id"], task["map_index"])
    ]
    assert (again["hostname"], again["state"]) == (other, "success")
    assert again["try_number"] == task["try_number"] + 1


def in_the_middle(cluster: Cluster, worker: str) -> list[dict[str, Any]]:
    """Tasks that run on a worker now, and have NeMo make something."""
    return [
        one
        for one in cluster.tasks_on("lost").get(worker, [])
        if one["state"] == "running" and one["task_id"] in MAKERS
    ]

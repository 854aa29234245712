"""The whole local stack, once for all end-to-end tests: real scheduler, triggerer, workers, services."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from pymongo import MongoClient

from include.flywheel.config.nims import CATALOGUE
from include.flywheel.config.workload import DIRECTORY, DIRECTORY_VARIABLE
from include.flywheel.logs.files import FileLogStore
from include.flywheel.logs.lines import read_lines
from include.flywheel.logs.load import load
from include.flywheel.runs.documents import RunDocument
from include.flywheel.runs.leases.repository import LeaseRepository
from include.flywheel.runs.repository import RunRepository
from include.local_stack import airflow_config, samples
from include.local_stack.airflow_api import AirflowApi
from include.local_stack.layout import Layout, Ports
from include.local_stack.stack import Stack
from include.local_stack.traffic.without_tools import WITHOUT_TOOLS

from .world import World

SUPPORT = "flywheel__acme-shop__support_agent"
ORDERS = "flywheel__acme-shop__order_desk"
EMPTY = "flywheel__acme-shop__never_logged"
GARBLED = "flywheel__acme-shop__garbled_logs"
CHAT = "flywheel__acme-shop__small_talk"
ON_DEMAND = "flywheel_on_demand"
# Answered without tools; a NIM judges the chats.
ROUTING = "flywheel__acme-shop__ticket_routing"
HELP = "flywheel__acme-shop__help_chat"
JUDGE_NIM = "meta/llama-3.1-8b-instruct"
# Workloads of the same traffic, for runs side by side.
CROWD = [f"flywheel__crowd__workload_{number}" for number in range(8)]
NIMS = ["meta/llama-3.2-1b-instruct", "meta/llama-3.1-8b-instruct"]
TURNED, TURNED_AGAIN = "by-rest", "by-rest-again"
TURNED_CONF: dict[str, Any] = {
    "client_id": "acme-shop",
    "workload_id": "support_agent",
    "job_type": "llm_job",
    "config_name": "laptop",
    "data_split_config": {"eval_size": 60, "limit": 900, "random_seed": 3},
    "nims": NIMS,
}
# A NIM that cannot be customized, and whose context has no room for an example.
PLAIN_NIM = "google/gemma-2-9b-it"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is end-to-end, and comes last: quick failures are seen first. Kills come after all."""
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    here.sort(key=lambda item: item.path.stem == "test_kills")
    for item in here:
        item.add_marker("e2e")
    items[:] = [item for item in items if item not in here] + here


@pytest.fixture(scope="session")
def workloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our own workloads, the order desk with a schedule that is due once, soon, and three to refuse."""
    due = datetime.now(UTC) + timedelta(seconds=75 + 60)
    folder = tmp_path_factory.mktemp("workloads")
    for path in DIRECTORY.glob("*.yaml"):
        described = yaml.safe_load(path.read_text())
        if described["workload_id"] == "order_desk":
            described["schedule"] = f"{due.minute} {due.hour} * * *"
        (folder / path.name).write_text(yaml.safe_dump(described))
    for name, conn_id in (
        ("never_logged", "empty_logs"),
        ("garbled_logs", "garbled_logs"),
        ("small_talk", "elastic_logs"),
    ):
        described = {"client_id": "acme-shop", "workload_id": name, "logs_conn_id": conn_id}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(described))
    for name in WITHOUT_TOOLS:
        described = {"client_id": "acme-shop", "workload_id": name, "profile": "judged"}
        described |= {"bar": {"production_model": "local/shop-agent-large"}}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(described))
    for dag_id in CROWD:
        workload = dag_id.rpartition("__")[2]
        described = {"client_id": "crowd", "workload_id": workload, "profile": "tight"}
        (folder / f"{workload}.yaml").write_text(yaml.safe_dump(described))
    return folder


@pytest.fixture(scope="session")
def profiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A profile with two GPUs for all runs together, and one with a judge."""
    folder = tmp_path_factory.mktemp("profiles")
    tight = {"extends": "laptop", "description": "Two GPUs.", "gpus": {"total": 2}}
    (folder / "tight.yaml").write_text(yaml.safe_dump(tight))
    judge = {"type": "local", "model": JUDGE_NIM}
    judged = {"extends": "laptop-small", "description": "A NIM judges.", "judge": judge}
    (folder / "judged.yaml").write_text(yaml.safe_dump(judged))
    return folder


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our own NIMs, and one whose context has no room for an example."""
    described = yaml.safe_load(CATALOGUE.read_text())
    [plain] = [nim for nim in described["nims"] if nim["name"] == PLAIN_NIM]
    plain |= {"context_tokens": 600, "gpus": 1, "image_name": "local/plain", "image_tag": "1"}
    plain.pop("customization", None)
    path = tmp_path_factory.mktemp("catalogue") / "nims.yaml"
    path.write_text(yaml.safe_dump(described))
    return path


@pytest.fixture(scope="session")
def elastic_logs(
    tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]
) -> Iterator[dict[str, Any]]:
    """A connection to an Elasticsearch (a fake of ours) that holds 200 chats, put there by the loader."""
    port = free_port()
    folder = tmp_path_factory.mktemp("elastic")
    connection = {"conn_type": "elasticsearch", "conn_host": f"http://127.0.0.1:{port}"}
    fake = [
        sys.executable,
        str(Path(__file__).parents[1] / "fakes" / "elasticsearch.py"),
        "--port",
        str(port),
    ]
    with subprocess.Popen(fake, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert str(port) in server.stdout.readline()
            _load_chats(
                folder / "chats.jsonl", {"conn_type": "elasticsearch", "host": connection["conn_host"]}
            )
            yield {"conn_id": "elastic_logs", **connection}
        finally:
            server.kill()


def _load_chats(path: Path, connection: dict[str, str]) -> None:
    with path.open("w") as file:
        for number in range(200):
            answer = {"role": "assistant", "content": f"That is a good question.\nNumber {number} it was."}
            record = {
                "timestamp": 1_767_225_600_000 + number,
                "request": {"messages": [{"role": "user", "content": f"question {number}"}]},
                "response": {"choices": [{"message": answer}]},
            }
            file.write(json.dumps(record) + "\n")
    load_them = [sys.executable, "-m", "include.cli.logs", "load", str(path), "--conn", "elastic_logs"]
    subprocess.run(
        [*load_them, "--client", "acme-shop", "--workload", "small_talk", "--strict"],
        env=os.environ | {"AIRFLOW_CONN_ELASTIC_LOGS": json.dumps(connection)},
        check=True,
    )


def relabelled(path: Path, workload: str) -> Iterator[bytes]:
    """The first lines of a sample as those of another workload."""
    theirs = f'"client_id":"{samples.CLIENT}","workload_id":"support_agent"'.encode()
    ours = f'"client_id":"crowd","workload_id":"{workload}"'.encode()
    labelled = (line for line in read_lines(path) if theirs in line)
    return (line.replace(theirs, ours) for line in islice(labelled, 400))


@pytest.fixture(scope="session")
def world(
    tmp_path_factory: pytest.TempPathFactory,
    workloads: Path,
    profiles: Path,
    catalogue: Path,
    elastic_logs: dict[str, Any],
) -> Iterator[World]:
    layout = Layout(tmp_path_factory.mktemp("stack") / "state")
    ports = Ports.free()
    folders = {
        DIRECTORY_VARIABLE: str(workloads),
        "FLYWHEEL_PROFILES": str(profiles),
        "FLYWHEEL_NIMS": str(catalogue),
    }
    with Stack(layout, ports, environment=folders) as stack:
        stack.start_services()
        for conn_id in ("empty_logs", "garbled_logs"):
            (layout.state / conn_id).mkdir()
            stack.settings["connections"].append(
                {"conn_id": conn_id, "conn_type": "fs", "conn_extra": {"path": str(layout.state / conn_id)}}
            )
        stack.settings["connections"].append(elastic_logs)
        page = "<html>\n<body>502 Bad Gateway</body>\n</html>\n"
        day = layout.state / "garbled_logs" / "dt=2026-01-05"
        day.mkdir()
        (day / "calls.jsonl").write_text(page)
        files = samples.write(layout.state / "samples", seed=7, chat_url=f"{stack.nemo_url}/nim")
        store = FileLogStore(layout.log_store)
        files |= samples.write(
            layout.state / "samples", seed=7, chat_url=f"{stack.nemo_url}/nim", workloads=WITHOUT_TOOLS
        )
        for workload, path in files.items():
            load(read_lines(path), store, samples.CLIENT, workload).check()
        for dag_id in CROWD:
            workload = dag_id.rpartition("__")[2]
            load(relabelled(files["support_agent"], workload), store, "crowd", workload).check()
        stack.start_airflow()
        password = airflow_config.passwords(layout)["admin"]
        client: MongoClient[dict[str, Any]] = MongoClient("127.0.0.1", ports.mongo)
        with (
            AirflowApi(stack.airflow_url, "admin", password) as api,
            httpx.Client(base_url=stack.nemo_url, timeout=30) as nemo,
        ):
            for dag_id in (SUPPORT, ORDERS, EMPTY, GARBLED, CHAT, ROUTING, HELP, ON_DEMAND, *CROWD):
                api.wait_for_dag(dag_id)
                api.unpause(dag_id)
            database = client["flywheel"]
            yield World(stack, api, RunRepository(database), LeaseRepository(database), database, nemo)
    # As root PostgreSQL lies elsewhere than the test's folder.
    shutil.rmtree(layout.postgres, ignore_errors=True)


@pytest.fixture(scope="session")
def thumbs(world: World) -> int:
    """What users said of every 45th of the newest answers, every third time thumbs-down; how often."""
    files = world.stack.layout.log_store.rglob("*.support_agent.*.jsonl")
    lines = (line for file in files if "acme-shop" in file.name for line in file.read_bytes().splitlines())
    found = [record for line in lines if (record := _record(line)) is not None]
    judged = sorted(found, key=lambda one: -one["timestamp"])[:900:45]
    with world.http() as http:
        for number, record in enumerate(judged):
            said = {key: record[key] for key in ("client_id", "workload_id", "trace_id")}
            words = f"what stands in the log as {record['trace_id']}"
            said |= {"model": "local/shop-agent-large", "query": words, "response": words}
            answer = http.post("/v1/feedback", json=said | {"rating": -1 if number % 3 == 0 else 1})
            assert answer.status_code == 200, answer.text
    return len(judged)


def _record(line: bytes) -> dict[str, Any] | None:
    """A line of the log; None for those that are broken on purpose."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    whole = isinstance(record, dict) and isinstance(record.get("timestamp"), int) and "trace_id" in record
    return record if whole else None


@pytest.fixture(scope="session")
def turned(world: World, thumbs: int) -> RunDocument:
    """A run that was started with the conf of the contract; at the same time the same again, with one NIM."""
    world.start(SUPPORT, TURNED, **TURNED_CONF)
    world.start(SUPPORT, TURNED_AGAIN, **TURNED_CONF | {"nims": NIMS[:1]})
    assert world.finish(SUPPORT, TURNED) == "success"
    assert world.finish(SUPPORT, TURNED_AGAIN) == "success"
    return world.document(SUPPORT, TURNED)

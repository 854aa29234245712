"""Workloads as a caller sees them: configured and found, with traffic and the last verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.flywheel.logs.files import FileLogStore
from include.flywheel.runs import ids
from include.flywheel.runs.documents import RunDocument, now
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import RunStatus

from .conftest import StartServer

T0 = 1_717_200_000_000


@pytest.fixture(scope="module", autouse=True)
def _logs(connections: dict[str, Any]) -> None:
    """Two workloads in the logs of which nobody has configured the second; before the server counts them."""
    store = FileLogStore(Path(connections["flywheel_logs"]["extra"]["path"]))
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    store.append(
        {
            "timestamp": T0 + number,
            "client_id": "acme",
            "workload_id": workload,
            "request": {"messages": [{"role": "user", "content": str(number)}]},
            "response": {"choices": [{"message": {"tool_calls": calls if number < 3 else []}}]},
        }
        for workload in ("desk", "traffic_alone")
        for number in range(4)
    )


def rows(api_server: StartServer, user: str = "admin") -> dict[tuple[str, str], dict[str, Any]]:
    with api_server().client(user) as client:
        answer = client.get("/api/workloads")
    assert answer.status_code == 200, answer.text
    return {(one["client_id"], one["workload_id"]): one for one in answer.json()["workloads"]}


def test_configured_and_found_workloads_with_their_traffic_and_last_run(
    api_server: StartServer, runs: RunRepository
) -> None:
    dag_id = "flywheel_on_demand"
    document = RunDocument(
        job_id=ids.job_id(dag_id, "traffic"),
        dag_id=dag_id,
        run_id="traffic",
        client_id="acme",
        workload_id="traffic_alone",
        status=RunStatus.COMPLETED,
        decision={"verdict": "PROMOTABLE"},
        winners=[{"nim": "meta/one"}],
        created_at=now(),
    )
    runs.open(document)
    found = rows(api_server)
    desk, alone = found["acme", "desk"], found["acme", "traffic_alone"]
    assert (desk["configured"], desk["dag_id"]) == (True, "flywheel__acme__desk")
    assert desk["described"]["description"] == "desk of acme"
    assert (alone["configured"], alone["dag_id"]) == (False, "flywheel__acme__traffic_alone")
    assert alone["described"] is None
    assert alone["traffic"] == {
        "client_id": "acme",
        "workload_id": "traffic_alone",
        "records": 4,
        "first_ms": T0,
        "last_ms": T0 + 3,
        "tool_share": 0.75,
    }
    last = alone["last_run"]
    assert (last["job_id"], last["verdict"], last["winner"]) == (document.job_id, "PROMOTABLE", "meta/one")
    assert found["globex", "desk"]["traffic"] is None
    order = [one["configured"] for one in found.values()]
    assert order == sorted(order, reverse=True), "configured ones come first"


def test_nobody_sees_nothing(api_server: StartServer) -> None:
    with api_server().client(None) as client:
        assert client.get("/api/workloads").status_code == 401
    assert rows(api_server, "viewer")

"""The server as a process: its announcement, its end, and what survives a SIGKILL."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import travel_desk
from flywheel_client import MODEL, Client, customization_body, deployment_body, evaluation_config

ROOT = Path(__file__).resolve().parents[2]
FAST = ["--deploy-seconds", "0.2", "--training-seconds", "0.1", "--evaluation-seconds", "0.1"]


@pytest.fixture
def launch(tmp_path):
    """Starts servers on one data folder: `launch(*arguments)` gives process and client."""
    started = []

    def go(*arguments, folder="data"):
        command = [sys.executable, "-m", "include.nemo_local", "--port", "0", "--data-dir", tmp_path / folder]
        process = subprocess.Popen(
            [*command, *FAST, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        line = process.stdout.readline()
        url = re.search(r"http://\S+", line)
        client = Client(url[0]) if url else None
        started.append((process, client))
        return process, client, line

    yield go
    for process, client in started:
        if client is not None:
            client.close()
        process.kill()
        process.communicate()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_the_server_says_what_it_is_and_ends_when_told_to(launch, end):
    process, client, line = launch()
    assert "stand-in" in line
    assert "simulated latencies" in line
    client.upload(
        "d",
        {
            "training/t.jsonl": travel_desk.jsonl(
                [travel_desk.training_row(turn) for turn in travel_desk.turns(30, 1)]
            )
        },
    )
    job = client.ok("POST", "/v1/customization/jobs", json=customization_body("d", epochs=1000))
    client.until(f"/v1/customization/jobs/{job['id']}", want=("running",))
    started = time.monotonic()
    process.send_signal(end)
    assert process.wait(5) == 0
    assert time.monotonic() - started < 2
    errors = process.stderr.read()
    assert f"{job['id']} goes on after the restart" in errors
    assert "Traceback" not in errors


def test_a_taken_port_or_folder_is_said_plainly(launch):
    _, client, _ = launch()
    for arguments, folder, says in (
        (["--port", str(client.base_url.port)], "other", "cannot listen on 127.0.0.1:"),
        ([], "data", "in use by another server"),
    ):
        process, nobody, _ = launch(*arguments, folder=folder)
        assert nobody is None
        assert process.wait(10) == 1
        assert says in process.stderr.read()


def test_what_ran_when_the_server_was_killed_goes_on(launch):
    process, client, _ = launch()
    rows = travel_desk.turns(60, seed=4)
    client.upload(
        "d",
        {
            "training/train.jsonl": travel_desk.jsonl([travel_desk.training_row(turn) for turn in rows]),
            "testing/eval.jsonl": travel_desk.jsonl([travel_desk.evaluation_row(turn) for turn in rows[:20]]),
        },
    )
    client.deploy("ready")
    reference = client.customize("d", output="flywheel/reference")
    client.ok("POST", "/_local/behaviours", json={"kind": "customization", "hold": True})
    client.ok("POST", "/_local/behaviours", json={"kind": "evaluation", "hold": True})
    trained = client.ok(
        "POST", "/v1/customization/jobs", json=customization_body("d", output="flywheel/goes-on")
    )
    body = {"namespace": "flywheel", "target": {"type": "model", "model": MODEL}}
    evaluated = client.ok("POST", "/v1/evaluation/jobs", json=body | {"config": evaluation_config("d")})
    stopping = client.ok(
        "POST", "/v1/customization/jobs", json=customization_body("d", output="flywheel/stop")
    )
    for job in (trained, stopping):
        client.until(f"/v1/customization/jobs/{job['id']}", want=("running",))
    client.until(f"/v1/evaluation/jobs/{evaluated['id']}", want=("running",))
    client.ok("POST", "/v1/deployment/model-deployments", json=deployment_body("starting"))
    os.kill(process.pid, signal.SIGKILL)
    process.wait(5)

    _, client, _ = launch()
    state = client.ok("GET", "/_local/state")
    assert state["running_jobs"] == {"customization": 2, "evaluation": 1}
    assert MODEL in client.served()
    client.ok("POST", f"/v1/customization/jobs/{stopping['id']}/cancel")
    client.ok("DELETE", "/_local/behaviours")
    done = client.until(f"/v1/customization/jobs/{trained['id']}")
    assert done["status"] == "completed", done["status_details"]
    assert "Restarted" in [entry["message"] for entry in done["status_details"]["status_logs"]]
    assert client.until(f"/v1/customization/jobs/{stopping['id']}")["status"] == "cancelled"
    scored = client.until(f"/v1/evaluation/jobs/{evaluated['id']}")
    assert scored["status"] == "completed", scored["status_details"]
    assert len(client.rows(scored)) == 20
    client.until("/v1/deployment/model-deployments/flywheel/starting", want=("ready",))
    assert client.ok("GET", "/_local/state")["gpus"]["used"] == 2
    adapters = [
        client.get(f"/v1/hf/flywheel/{name}/resolve/{job['id']}/adapter.npz").content
        for name, job in (("reference", reference), ("goes-on", trained))
    ]
    assert adapters[0] == adapters[1]

"""A job while it runs: progress, cancelling, its log, and what it keeps to itself."""

import io
import json
import threading
import zipfile

import pytest
from openai_endpoint import answering, chat

JOBS = "/v1/evaluation/jobs"


@pytest.fixture
def slow_model():
    """An endpoint that answers ten requests and then waits for `go.set()`."""
    go, asked = threading.Event(), []

    def answer(*_):
        asked.append(1)
        if len(asked) > 10:
            go.wait(10)
        return 200, chat("yes")

    with answering(answer) as url:
        yield url, go
        go.set()


def body(client, url, **params):
    rows = b"".join(json.dumps({"q": str(n)}).encode() + b"\n" for n in range(30))
    client.upload("running", {"q.jsonl": rows})
    endpoint = {"url": url, "model_id": "m", "api_key": "key-secret-1"}
    task = {
        "type": "chat-completion",
        "dataset": {"files_url": "hf://datasets/flywheel/running/q.jsonl"},
        "params": {"template": {"messages": [{"role": "user", "content": "{{ item.q }}"}]}} | params,
        "metrics": {
            "m": {"type": "string-check", "params": {"check": ["{{ sample.output_text }}", "equals", "yes"]}}
        },
    }
    return {
        "namespace": "flywheel",
        "config": {"type": "custom", "tasks": {"t": task}},
        "target": {"type": "model", "model": {"api_endpoint": endpoint}},
    }


def log_of(client, job_id):
    answer = client.get(f"{JOBS}/{job_id}/logs")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        return archive.read("evaluation.log").decode()


def test_a_running_job_is_cancelled_between_two_rows(client, slow_model):
    url, go = slow_model
    job = client.ok("POST", JOBS, json=body(client, url))
    client.until(f"{JOBS}/{job['id']}", want=("running",))
    assert client.ok("POST", f"{JOBS}/{job['id']}/cancel")["status"] == "cancelling"
    assert client.get(f"{JOBS}/{job['id']}/results").status_code == 404
    go.set()
    ended = client.until(f"{JOBS}/{job['id']}")
    assert ended["status"] == "cancelled"
    assert client.get(f"{JOBS}/{job['id']}/download-results").status_code == 404
    assert "cancelled: The job was cancelled" in log_of(client, job["id"])
    # What has ended stays as it is.
    assert client.ok("POST", f"{JOBS}/{job['id']}/cancel")["status"] == "cancelled"


def test_progress_is_in_percent_of_the_limit(client, slow_model):
    url, go = slow_model
    go.set()
    job = client.ok("POST", JOBS, json=body(client, url, limit_samples=20, parallelism=3))
    client.until(f"{JOBS}/{job['id']}", want=("completed",))
    status = client.ok("GET", f"{JOBS}/{job['id']}/status")
    assert (status["samples_processed"], status["progress"]) == (20, 100.0)
    assert status["task_status"] == {"t": "completed"}


def test_a_key_is_in_no_answer_and_no_log(client):
    job = client.ok("POST", JOBS, json=body(client, "http://127.0.0.1:9/v1"))
    ended = client.until(f"{JOBS}/{job['id']}")
    assert ended["status"] == "completed"
    log = log_of(client, job["id"])
    assert "ConnectError" in log
    shown = (client.get(f"{JOBS}/{job['id']}").text, json.dumps(client.rows(ended)), log)
    assert not any("key-secret-1" in text for text in shown)

"""The engine behind a server, over HTTP; its base is hardly trained, so that only the way is looked at."""

import order_desk
import pytest
from flywheel_client import customization_body
from order_desk import MODEL, TINY

FILES = {
    "training/train.jsonl": order_desk.jsonl(order_desk.rows(64, seed=1)),
    "validation/validation.jsonl": order_desk.jsonl(order_desk.rows(16, seed=2)),
}


@pytest.fixture
def small(engine, monkeypatch):
    """Servers of this process take the small base."""
    monkeypatch.setattr("include.nemo_local.neural.sizes.SMALL", TINY)


def _chat(client, model, **more):
    body = order_desk.request_of(order_desk.rows(1, seed=5)[0], model=model, **more)
    return client.ok("POST", "/nim/v1/chat/completions", json=body)


def _name(client):
    return next(name for name in client.served() if name.startswith("flywheel/desk@"))


def test_a_customization_and_its_answers_survive_a_restart(start, small):
    with start(engine="neural") as client:
        assert client.ok("GET", "/health")["engine"] == "neural"
        client.upload("desk", FILES)
        client.deploy("desk")
        job = client.customize("desk", output="flywheel/desk", epochs=2)
        details = job["status_details"]
        assert job["status"] == "completed", details
        assert details["epochs_completed"] == 2
        losses = details["metrics"]["metrics"]
        assert losses["val_loss"][1]["value"] < losses["val_loss"][0]["value"]
        logs = {entry["message"]: entry["detail"] for entry in details["status_logs"]}
        assert logs["TrainingJobRunning"].startswith("engine neural:")
        client.until_served(f"flywheel/desk@{job['id']}")
        answered = _chat(client, _name(client), max_tokens=12)
        base = _chat(client, MODEL, max_tokens=12)
    with start(engine="neural") as client:
        assert _chat(client, _name(client), max_tokens=12)["choices"] == answered["choices"]
        assert _chat(client, MODEL, max_tokens=12)["choices"] == base["choices"]
    with start() as client:
        assert client.ok("GET", "/health")["engine"] == "classic"
        assert f"flywheel/desk@{job['id']}" not in client.served()


def test_a_cancel_ends_a_long_training_between_steps(start, small):
    with start(engine="neural") as client:
        client.upload("desk", FILES)
        body = customization_body("desk", output="flywheel/never", epochs=1000)
        job = client.ok("POST", "/v1/customization/jobs", json=body)
        path = f"/v1/customization/jobs/{job['id']}"
        client.until(path, want=("running",))
        client.ok("POST", f"{path}/cancel")
        ended = client.until(path)
    assert ended["status"] == "cancelled", ended["status_details"]

"""Deployments: their states, the GPUs that they hold, and what holds them up."""

import pytest
import travel_desk
from flywheel_client import MODEL, customization_body, deployment_body

PATH = "/v1/deployment/model-deployments"
LARGE = "meta/llama-3.1-8b-instruct"


def create(client, name, **kwargs):
    return client.ok("POST", PATH, json=deployment_body(name, **kwargs))


def status(client, name):
    return client.ok("GET", f"{PATH}/flywheel/{name}")["status_details"]


def test_a_deployment_is_pending_then_ready(start):
    with start(deploy_seconds=0.3) as client:
        made = create(client, "a")
        assert made["deployed"] is False
        assert made["status_details"] == {"status": "pending", "description": "Model deployment created"}
        assert made["created_at"].endswith("000Z")
        assert MODEL not in client.served()
        ready = client.until(f"{PATH}/flywheel/a", want=("ready",))
        assert ready["deployed"] is True
        assert MODEL in client.served()
        client.ok("DELETE", f"{PATH}/flywheel/a")
        assert MODEL not in client.served()
        assert client.get(f"{PATH}/flywheel/a").status_code == 404


def test_a_name_that_exists_answers_as_in_the_field(client):
    create(client, "twice")
    answer = client.post(PATH, json=deployment_body("twice"))
    assert (answer.status_code, answer.json()["detail"]) == (500, "model deployment already exists")


def test_a_stored_configuration_can_be_deployed(client):
    config = deployment_body("c", LARGE)["config"] | {"name": "stored", "namespace": "flywheel"}
    client.ok("POST", "/v1/deployment/configs", json=config)
    body = {"name": "by-name", "namespace": "flywheel", "config": "flywheel/stored"}
    client.ok("POST", PATH, json=body)
    assert client.until(f"{PATH}/flywheel/by-name", want=("ready",))["models"] == [LARGE]
    missing = client.post(PATH, json=body | {"name": "x", "config": "flywheel/none"})
    assert missing.status_code == 404
    assert client.post(PATH, json=body | {"name": "x", "config": "none"}).status_code == 422


def test_who_finds_no_gpu_waits_until_one_is_free(start):
    with start(gpus=2) as client:
        create(client, "first", gpu=2)
        create(client, "second")
        waiting = status(client, "second")
        assert waiting["status"] == "pending"
        assert "NotEnoughResources: 1 GPU(s) asked for, 0 of 2 free" in waiting["description"]
        client.ok("DELETE", f"{PATH}/flywheel/first")
        client.until(f"{PATH}/flywheel/second", want=("ready",))
        assert client.ok("GET", "/_local/state")["gpus"] == {"total": 2, "used": 1}


def test_training_and_serving_share_the_gpus(start):
    with start(gpus=1) as client:
        client.upload("d", {"training/t.jsonl": b'{"messages": []}\n'})
        create(client, "serving")
        job = client.ok("POST", "/v1/customization/jobs", json=customization_body("d"))
        waiting = client.ok("GET", f"/v1/customization/jobs/{job['id']}")
        assert waiting["status"] == "pending"
        assert "NotEnoughResources" in waiting["status_details"]["status_logs"][-1]["detail"]
        assert client.ok("GET", "/_local/state")["running_jobs"]["customization"] == 1
        cancelled = client.ok("POST", f"/v1/customization/jobs/{job['id']}/cancel")
        assert cancelled["status"] == "cancelled"
        client.ok("DELETE", f"{PATH}/flywheel/serving")
        assert client.ok("GET", "/_local/state")["gpus"]["used"] == 0


def test_a_training_that_waited_starts_when_a_gpu_is_free(start):
    with start(gpus=1) as client:
        rows = [travel_desk.training_row(turn) for turn in travel_desk.turns(20, seed=1)]
        client.upload("d", {"training/t.jsonl": travel_desk.jsonl(rows)})
        create(client, "serving")
        job = client.ok("POST", "/v1/customization/jobs", json=customization_body("d", epochs=1))
        client.until(f"/v1/customization/jobs/{job['id']}", want=("pending",))
        client.ok("DELETE", f"{PATH}/flywheel/serving")
        assert client.until(f"/v1/customization/jobs/{job['id']}")["status"] == "completed"
        assert client.ok("GET", "/_local/state")["gpus"]["used"] == 0


def test_a_held_deployment_stays_pending_until_it_is_let_go(start):
    with start() as client:
        ready = create(client, "before")
        client.until(f"{PATH}/flywheel/before", want=("ready",))
        client.ok("POST", "/_local/behaviours", json={"kind": "deployment", "hold": True})
        create(client, "held")
        with pytest.raises(AssertionError, match="pending"):
            client.until(f"{PATH}/flywheel/held", seconds=0.3)
        assert status(client, "before")["status"] == "ready", ready
        client.ok("DELETE", "/_local/behaviours")
        client.until(f"{PATH}/flywheel/held", want=("ready",))


def test_a_deployment_fails_with_the_reason_and_stays_failed(start):
    with start() as client:
        client.ok(
            "POST",
            "/_local/behaviours",
            json={"kind": "deployment", "model_contains": "8b", "fail": "image pull failed"},
        )
        create(client, "good")
        create(client, "bad", model=LARGE)
        failed = client.until(f"{PATH}/flywheel/bad")
        assert failed["status_details"] == {"status": "failed", "description": "image pull failed"}
        client.until(f"{PATH}/flywheel/good", want=("ready",))
        client.ok("DELETE", "/_local/behaviours")
        assert status(client, "bad")["status"] == "failed"

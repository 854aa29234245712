"""The record of how many GPUs were in use, and jobs that take as long as they are told."""

import itertools

from flywheel_client import MODEL, deployment_body

PATH = "/v1/deployment/model-deployments"


def test_every_change_is_on_record_and_none_exceeds_the_total(start):
    with start(gpus=2) as client:
        for name in ("a", "b", "c"):
            client.ok("POST", PATH, json=deployment_body(name))
        for name in ("a", "b", "c"):
            client.ok("DELETE", f"{PATH}/flywheel/{name}")
        uses = client.ok("GET", "/_local/gpu-uses")
    assert [use["used"] for use in uses] == [0, 1, 2, 1, 0], "c took the place of a at once"
    assert all(one["at"] <= two["at"] for one, two in itertools.pairwise(uses))


def test_a_deployment_takes_as_long_as_its_model_is_told_to(client):
    told = {"kind": "deployment", "model_contains": MODEL, "seconds": 60}
    client.ok("POST", "/_local/behaviours", json=told)
    client.ok("POST", PATH, json=deployment_body("slow"))
    client.ok("DELETE", "/_local/behaviours")
    client.ok("POST", PATH, json=deployment_body("usual"))
    client.until(f"{PATH}/flywheel/usual", want=("ready",))
    assert client.ok("GET", f"{PATH}/flywheel/slow")["status_details"]["status"] == "pending"


def test_a_behaviour_has_one_effect(client):
    both = {"kind": "deployment", "hold": True, "seconds": 1}
    assert client.post("/_local/behaviours", json=both).status_code == 422

"""Faults at the wire, what they match, and the pages of the stand-in itself."""

import time

import httpx
import pytest

CHAT = {"messages": []}


@pytest.fixture
def fault(client):
    """Adds a fault for the test's duration."""
    yield lambda **kwargs: client.ok("POST", "/_local/faults", json=kwargs)
    client.ok("DELETE", "/_local/faults")
    assert client.ok("GET", "/_local/faults") == []


def test_health_says_what_this_is(client):
    health = client.ok("GET", "/health")
    assert (health["status"], health["service"], health["simulated"]) == ("ok", "nemo_local", True)
    assert "stand-in" in health["detail"]


def test_a_fault_answers_as_often_as_it_says(client, fault):
    fault(path_regex="^/v1/datasets$", method="get", status=503, times=2, headers={"Retry-After": "7"})
    first = client.get("/v1/datasets")
    assert (first.status_code, first.headers["retry-after"]) == (503, "7")
    assert "injected fault" in first.json()["detail"]
    assert client.get("/v1/projects").status_code == 200
    assert client.post("/v1/datasets", json={}).status_code == 422
    assert [client.get("/v1/datasets").status_code for _ in range(2)] == [503, 200]


def test_a_fault_may_be_of_one_model(client, fault):
    fault(path_regex="chat/completions", model_contains="8b", status=500, body="not <json>")
    broken = client.post("/nim/v1/chat/completions", json=CHAT | {"model": "meta/llama-3.1-8b-instruct"})
    assert (broken.status_code, broken.text) == (500, "not <json>")
    assert client.post("/nim/v1/chat/completions", json=CHAT | {"model": "nobody"}).status_code == 404
    assert client.post("/nim/v1/chat/completions", content=b"\xff").status_code == 422


def test_a_fault_may_only_delay(client, fault):
    fault(path_regex="^/health$", delay_seconds=0.2)
    started = time.monotonic()
    assert client.ok("GET", "/health")["status"] == "ok"
    assert time.monotonic() - started >= 0.2


def test_a_fault_may_drop_the_connection(client, fault):
    fault(path_regex="^/health$", drop_connection=True, times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/health")
    assert client.ok("GET", "/health")["status"] == "ok"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("faults", {"path_regex": "x", "sometimes": True}),
        ("behaviours", {"kind": "deployment"}),
        ("behaviours", {"kind": "deployment", "hold": True, "fail": "both"}),
        ("behaviours", {"kind": "upload", "hold": True}),
    ],
)
def test_what_is_no_fault_is_refused(client, path, body):
    assert client.post(f"/_local/{path}", json=body).status_code == 422

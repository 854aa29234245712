"""Entity Store: namespaces, projects, datasets, models."""

import pytest

DATASET = {"name": "d", "namespace": "entities", "files_url": "hf://datasets/entities/d", "project": "run-9"}


@pytest.fixture(scope="module", autouse=True)
def dataset(client):
    return client.ok("POST", "/v1/datasets", json=DATASET)


def test_an_entity_gets_an_id_and_naive_times(dataset):
    assert dataset["id"].startswith("dataset-")
    assert len(dataset["created_at"]) == len("2025-06-20T04:20:22.061480")
    assert dataset["files_url"] == DATASET["files_url"]


def test_a_name_is_taken_once_and_no_retry_is_asked_for(client):
    answer = client.post("/v1/datasets", json=DATASET)
    assert (answer.status_code, answer.headers["x-should-retry"]) == (409, "false")
    assert "entities/d already exists" in answer.json()["detail"]
    assert client.post("/v1/datasets", json=DATASET | {"namespace": "others"}).status_code == 200


def test_an_entity_without_a_name_is_named_by_its_id(client):
    made = client.ok("POST", "/v1/projects", json={"description": "nameless"})
    assert (made["name"], made["namespace"]) == (made["id"], "default")


def test_an_entity_changes_but_keeps_its_name(client, dataset):
    changed = client.ok("PATCH", "/v1/datasets/entities/d", json={"description": "new", "name": "other"})
    assert (changed["name"], changed["description"], changed["project"]) == ("d", "new", "run-9")
    assert changed["updated_at"] > dataset["updated_at"]


def test_entities_are_listed_by_project(client):
    client.ok("POST", "/v1/datasets", json=DATASET | {"name": "e", "project": "run-10"})
    found = client.ok("GET", "/v1/datasets", params={"filter[project]": "run-10"})
    assert [entity["name"] for entity in found["data"]] == ["e"]
    assert found["object"] == "list"


def test_a_deleted_entity_is_gone(client):
    client.ok("POST", "/v1/models", json={"name": "m", "namespace": "entities"})
    assert client.ok("DELETE", "/v1/models/entities/m")["deleted_at"]
    for method in ("GET", "DELETE", "PATCH"):
        answer = client.request(method, "/v1/models/entities/m", json={} if method == "PATCH" else None)
        assert answer.status_code == 404
        assert answer.json() == {"detail": "model entities/m not found"}


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"name": "no blanks"}, ["body", "name"]),
        ({"name": "x" * 256}, ["body", "name"]),
        ({"files_url": None}, ["body", "files_url"]),
    ],
)
def test_a_wrong_field_is_named(client, change, place):
    answer = client.post("/v1/datasets", json=DATASET | change)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == place


def test_a_namespace_is_its_id(client):
    made = client.ok("POST", "/v1/namespaces", json={"id": "spaces", "description": "one"})
    assert made["id"] == "spaces"
    assert client.post("/v1/namespaces", json={"id": "spaces"}).status_code == 409
    assert client.ok("PATCH", "/v1/namespaces/spaces", json={"description": "two"})["description"] == "two"
    assert "spaces" in [entity["id"] for entity in client.ok("GET", "/v1/namespaces")["data"]]
    client.ok("DELETE", "/v1/namespaces/spaces")
    assert client.get("/v1/namespaces/spaces").status_code == 404


def test_secrets_of_stored_targets_and_configs_do_not_come_back(client):
    endpoint = {"url": "http://127.0.0.1:1/v1", "model_id": "judge", "api_key": "nvapi-secret"}
    body = {"type": "model", "name": "kept", "namespace": "default", "model": {"api_endpoint": endpoint}}
    path = "/v1/evaluation/targets"
    answers = [
        client.request("POST", path, json=body),
        client.request("GET", f"{path}/default/kept"),
        client.request("GET", path),
        client.request("PATCH", f"{path}/default/kept", json={"description": "changed"}),
    ]
    for answer in answers:
        assert answer.status_code == 200, answer.text
        assert "nvapi-secret" not in answer.text
        assert "******" in answer.text

"""An administrator changes the catalogue over the network; others look at it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from include.flywheel.runs.repository import RunRepository

from .conftest import StartServer

# No other test changes these.
NIM = "google/gemma-2-9b-it"
PATH = f"/api/nims/{NIM}"


@pytest.fixture
def admin(api_server: StartServer, runs: RunRepository) -> Iterator[httpx.Client]:
    assert runs
    with api_server().client() as client:
        client.delete(f"{PATH}/override").raise_for_status()
        yield client
        client.delete(f"{PATH}/override").raise_for_status()


def version(client: httpx.Client) -> int:
    found: int = client.get(PATH).json()["version"]
    return found


def put(client: httpx.Client, **change: Any) -> httpx.Response:
    return client.put(PATH, json={"version": version(client), **change})


def test_a_change_says_who_and_when_and_what_the_file_says(admin: httpx.Client) -> None:
    before = version(admin)
    answer = put(admin, gpus=2, enabled=False)
    assert answer.status_code == 200, answer.text
    view = answer.json()
    assert (view["version"], view["changed_by"]) == (before + 1, "admin")
    assert (view["values"]["gpus"], view["in_file"]["gpus"], view["override"]) == (
        2,
        1,
        {"gpus": 2, "enabled": False},
    )
    assert (view["enabled"], view["can_be_deployed"]) == (False, False)
    assert admin.get(PATH).json() == view
    [listed] = [one for one in admin.get("/api/nims").json()["nims"] if one["name"] == NIM]
    assert listed == view | {"history": None}


def test_a_change_adds_to_the_one_before_and_a_reset_takes_back(admin: httpx.Client) -> None:
    put(admin, gpus=2)
    view = put(admin, context_tokens=4096, customization={"target": "g/g@1", "num_gpus": 1}).json()
    assert set(view["override"]) == {"gpus", "context_tokens", "customization"}
    assert view["can_be_customized"]
    assert view["history"][0]["changes"] == {"gpus": 2}
    view = admin.delete(f"{PATH}/override", params={"field": ["gpus", "context_tokens"]}).json()
    assert set(view["override"]) == {"customization"}
    view = admin.delete(f"{PATH}/override", params={"version": view["version"]}).json()
    assert (view["override"], view["values"]["gpus"]) == ({}, 1)
    assert admin.delete(f"{PATH}/override").json()["version"] == view["version"]


def test_who_has_not_seen_the_last_version_is_told(admin: httpx.Client) -> None:
    seen = version(admin)
    assert put(admin, gpus=2).status_code == 200
    for answer in (
        admin.put(PATH, json={"version": seen, "gpus": 3}),
        admin.delete(f"{PATH}/override", params={"version": seen}),
    ):
        assert answer.status_code == 409
        assert f"`version` = {seen}, but admin made version {seen + 1}" in answer.json()["detail"]
    assert admin.get(PATH).json()["values"]["gpus"] == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"gpus": 0}, "`gpus`"),
        ({"gpus": None}, "reset the field"),
        ({"image_name": "x"}, "`image_name`"),
        ({}, "nothing is to be changed; give one of: enabled"),
        (
            {"customization": {"target": "t", "num_gpus": 1, "finetuning_type": "all_weights"}},
            "trained with a LoRA",
        ),
    ],
)
def test_what_no_entry_can_be_is_refused(admin: httpx.Client, change: dict[str, Any], said: str) -> None:
    before = version(admin)
    answer = put(admin, **change)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    assert version(admin) == before


def test_what_the_catalogue_does_not_know_is_not_found(admin: httpx.Client) -> None:
    for answer in (
        admin.get("/api/nims/m/none"),
        admin.put("/api/nims/m/none", json={"version": 0, "gpus": 1}),
        admin.delete("/api/nims/m/none/override"),
    ):
        assert answer.status_code == 404
        assert "known are: " in answer.json()["detail"]
    assert admin.delete(f"{PATH}/override", params={"field": "name"}).status_code == 422


@pytest.mark.parametrize(("user", "may"), [("viewer", False), ("user", False), ("operator", True)])
def test_all_may_look_and_operators_may_change(
    api_server: StartServer, admin: httpx.Client, user: str, may: bool
) -> None:
    with api_server().client(user) as client:
        assert client.get("/api/nims").status_code == 200
        assert client.get(PATH).status_code == 200
        assert put(client, gpus=2).status_code == (200 if may else 403)
        assert client.delete(f"{PATH}/override").status_code == (200 if may else 403)
    with api_server().client(None) as client:
        assert [client.get(one).status_code for one in ("/api/nims", PATH)] == [401, 401]
        assert client.put(PATH, json={"version": 0, "gpus": 2}).status_code == 401

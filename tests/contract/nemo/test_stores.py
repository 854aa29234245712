"""Entity Store and Data Store: namespaces, data sets and their files, lists and refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from contract_faces import Face, Installation

ROWS = b'{"messages": []}\n' * 3


@pytest.fixture(scope="module")
def repo(face: Face, namespace: str, undo: Callable[..., None]) -> str:
    """A repository with two files."""
    name = f"{namespace}/files"
    undo(face.delete_repo, name)
    face.create_repo(name)
    face.upload(name, "training/train.jsonl", ROWS)
    face.upload(name, "validation/val.jsonl", ROWS)
    return name


@pytest.fixture(scope="module")
def three(face: Face, namespace: str, undo: Callable[..., None]) -> list[str]:
    """Three data sets; the first two belong to a project."""
    names = ["d0", "d1", "d2"]
    for name in names:
        undo(face.delete_dataset, namespace, name)
        face.create_dataset(namespace, name, None if name == "d2" else f"{namespace}-p")
    return names


def test_a_namespace_is_created_once(face: Face, namespace: str, refused: Any) -> None:
    with refused(409, 422):
        face.create_namespace(namespace)
    with refused(409, 422):
        face.create_store_namespace(namespace)


def test_a_dataset_keeps_what_it_was_given(face: Face, namespace: str, three: list[str]) -> None:
    found = face.dataset(namespace, three[0])
    assert (found.name, found.namespace) == (three[0], namespace)
    assert (found.project, found.files_url) == (f"{namespace}-p", f"hf://datasets/{namespace}/d0")


def test_a_dataset_is_created_once(face: Face, namespace: str, three: list[str], refused: Any) -> None:
    with refused(409, 422):
        face.create_dataset(namespace, three[0])
    assert [found.name for found in face.datasets(namespace=namespace)].count(three[0]) == 1


def test_a_list_is_filtered(face: Face, namespace: str, three: list[str]) -> None:
    assert sorted(found.name for found in face.datasets(namespace=namespace)) == three
    of_project = face.datasets(namespace=namespace, project=f"{namespace}-p")
    assert sorted(found.name for found in of_project) == three[:2]
    assert face.datasets(namespace=f"{namespace}-nobody") == []


def test_what_is_not_there_is_not_found(face: Face, namespace: str, refused: Any) -> None:
    with refused(404):
        face.dataset(namespace, "nothing")
    with refused(404):
        face.delete_dataset(namespace, "nothing")
    with refused(404):
        face.model(namespace, "nothing@cust-1")
    with refused(404):
        face.delete_model(namespace, "nothing")


def test_a_name_that_is_no_name_is_refused(face: Face, namespace: str, refused: Any) -> None:
    with refused(400, 422):
        face.create_dataset(namespace, "no good")


def test_a_deleted_dataset_is_gone(face: Face, namespace: str, refused: Any) -> None:
    face.create_dataset(namespace, "gone")
    face.delete_dataset(namespace, "gone")
    with refused(404):
        face.dataset(namespace, "gone")


def test_files_go_up_are_listed_and_come_down(face: Face, repo: str, tmp_path: Path) -> None:
    assert sorted(face.files(repo)) == ["training/train.jsonl", "validation/val.jsonl"]
    assert face.download(repo, "training/train.jsonl", tmp_path) == ROWS


def test_a_file_is_replaced(face: Face, repo: str, tmp_path: Path) -> None:
    face.upload(repo, "validation/val.jsonl", ROWS * 2)
    assert face.download(repo, "validation/val.jsonl", tmp_path) == ROWS * 2
    face.upload(repo, "validation/val.jsonl", ROWS)


def test_creating_a_repo_twice_keeps_its_files(face: Face, repo: str) -> None:
    face.create_repo(repo)
    assert len(face.files(repo)) == 2


def test_a_file_or_repo_that_is_not_there_is_not_found(
    face: Face, repo: str, tmp_path: Path, refused: Any
) -> None:
    with refused(404):
        face.download(repo, "training/nothing.jsonl", tmp_path)
    with refused(404):
        face.files(f"{repo}-nothing")


def test_a_deleted_repo_is_gone(face: Face, namespace: str, refused: Any) -> None:
    name = f"{namespace}/short"
    face.create_repo(name)
    face.delete_repo(name)
    with refused(404):
        face.files(name)
    face.delete_repo(name)


@pytest.fixture
def wire(installation: Installation) -> Iterator[httpx.Client]:
    """The bare services, for what neither client shows."""
    headers = {"Authorization": f"Bearer {installation.token}"} if installation.token else {}
    with httpx.Client(base_url=installation.urls.base_url, headers=headers) as client:
        yield client


def test_pages_count_from_one_and_end_empty(wire: httpx.Client, namespace: str, three: list[str]) -> None:
    def page(number: int) -> dict[str, Any]:
        query = {"filter[namespace]": namespace, "page": number, "page_size": 2, "sort": "created_at"}
        answer = wire.get("/v1/datasets", params=query)
        assert answer.status_code == 200
        body: dict[str, Any] = answer.json()
        return body

    assert [[row["name"] for row in page(number)["data"]] for number in (1, 2, 3, 99)] == [
        three[:2],
        three[2:],
        [],
        [],
    ]
    assert page(1)["object"] == "list"
    pagination = {"page": 2, "page_size": 2, "current_page_size": 1, "total_pages": 2, "total_results": 3}
    assert page(2)["pagination"] == pagination


def test_a_list_is_searched_by_part_of_a_name_and_by_dates(
    wire: httpx.Client, namespace: str, three: list[str]
) -> None:
    def found(**search: str) -> list[str]:
        query = {f"search[{key.replace('__', '][')}]": value for key, value in search.items()}
        answer = wire.get("/v1/datasets", params=query | {"filter[namespace]": namespace})
        assert answer.status_code == 200, answer.text
        return sorted(row["name"] for row in answer.json()["data"])

    yesterday, tomorrow = (f"{datetime.now(UTC) + timedelta(days=days):%Y-%m-%d}" for days in (-1, 1))
    assert set(three) <= set(found(name="d"))
    assert found(name="1") == three[1:2]
    assert set(three) <= set(found(created_at__start=yesterday, created_at__end=tomorrow))
    assert found(created_at__start=tomorrow) == found(created_at__end=yesterday) == []


@pytest.mark.parametrize(
    "path",
    [
        "/v1/datasets/{}/nothing",
        "/v1/models/{}/nothing",
        "/v1/deployment/model-deployments/{}/nothing",
        "/v1/customization/jobs/cust-nothing",
        "/v1/customization/jobs/cust-nothing/status",
        "/v1/evaluation/jobs/eval-nothing",
        "/v1/evaluation/jobs/eval-nothing/results",
    ],
)
def test_a_refusal_says_why_in_detail(wire: httpx.Client, namespace: str, path: str) -> None:
    answer = wire.get(path.format(namespace))
    assert answer.status_code == 404
    assert isinstance(answer.json()["detail"], str)


@pytest.mark.parametrize(
    "path",
    ["/v1/datasets", "/v1/customization/jobs", "/v1/evaluation/jobs", "/v1/deployment/model-deployments"],
)
def test_an_incomplete_body_names_its_fields(wire: httpx.Client, path: str) -> None:
    answer = wire.post(path, json={"namespace": 7})
    assert answer.status_code == 422
    detail = answer.json()["detail"]
    assert detail
    for problem in detail:
        assert {"loc", "msg", "type"} <= problem.keys()


def test_a_conflict_is_not_worth_a_retry(
    wire: httpx.Client, namespace: str, three: list[str], installation: Installation
) -> None:
    if installation.real:
        pytest.skip("what the real service answers in this header is not known")
    body = {"name": three[0], "namespace": namespace, "files_url": f"hf://datasets/{namespace}/d0"}
    answer = wire.post("/v1/datasets", json=body)
    assert (answer.status_code, answer.headers["x-should-retry"]) == (409, "false")

"""A browser's cookie is sent whoever made the page: writes must come from a page of the server, as JSON."""

from __future__ import annotations

import httpx
import pytest

from .airflow_server import ApiServer
from .conftest import StartServer

BODY = b'{"client_id": "acme", "workload_id": "desk"}'
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server(api_server: StartServer) -> ApiServer:
    return api_server()


def post(server: ApiServer, headers: dict[str, str], path: str = "/api/jobs", body: bytes = BODY) -> int:
    cookie = {"Cookie": f"_token={server.token('user')}"}
    answer = httpx.post(f"{server.url}{path}", content=body, headers=cookie | headers, timeout=30)
    assert set(answer.json()) & {"detail", "id"}
    return answer.status_code


def test_a_page_of_the_server_may_write(server: ApiServer) -> None:
    assert post(server, JSON | {"Origin": server.url}) == 200
    assert post(server, JSON | {"Sec-Fetch-Site": "same-origin"}) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"},
    ],
)
def test_no_other_page_may(server: ApiServer, headers: dict[str, str]) -> None:
    assert post(server, JSON | headers) == 403
    assert post(server, headers, f"/api/jobs/{'0' * 24}/cancel", b"") == 403


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_form_may_not(server: ApiServer, kind: str) -> None:
    headers = {"Origin": server.url} | ({"Content-Type": kind} if kind else {})
    assert post(server, headers) == 403


def test_reading_needs_neither(server: ApiServer) -> None:
    cookie = {"Cookie": f"_token={server.token('viewer')}"}
    assert httpx.get(f"{server.url}/api/jobs", headers=cookie, timeout=30).status_code == 200


def test_a_bearer_token_wins_over_the_cookie(server: ApiServer) -> None:
    assert post(server, JSON | {"Authorization": f"Bearer {server.token('viewer')}"}) == 403
    assert post(server, JSON | {"Authorization": f"Bearer {server.token('admin')}"}) == 200

"""With FAB and permissions of single DAGs: whoever is of one client sees nothing of another's, anywhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from include.flywheel.runs.states import RunStatus

from .cells import ask, expected
from .clients import WORKLOADS, World, fab_world
from .people import DAGS, ON_DEMAND
from .roles import CALLERS, Row, rows

NO_JOB = "0" * 24
OTHER = {"globex": "initech", "initech": "globex"}
READ = [row for row in rows() if row.method == "GET"]


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory,
    free_port: Callable[[], int],
    mongo_uri: str,
    connections: dict[str, Any],
) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("fab")
    with fab_world(folder, free_port(), mongo_uri, connections) as made:
        yield made


def _caller(world: World, name: str) -> httpx.Client:
    return world.server.client(None if name == "nobody" else name)


@pytest.mark.parametrize("name", CALLERS)
def test_each_person_may_do_what_the_table_says(world: World, name: str) -> None:
    def new_job(row: Row) -> str:
        if row.path.endswith("/cancel"):
            return world.start(row.client)
        failed = row.path.endswith("/retry")
        return world.write(row.client, RunStatus.FAILED if failed else RunStatus.COMPLETED)

    with world.server.client("admin") as admin, _caller(world, name) as caller:
        found = {row: ask(caller, row, admin, new_job) for row in rows()}
    wrong = {
        f"{row.method} {row.path} {row.client}": (answer.status_code, answer.text[:200])
        for row, answer in found.items()
        if answer.status_code != expected(row, name)
    }
    assert wrong == {}


def _walk(world: World, caller: httpx.Client) -> Iterator[httpx.Response]:
    """Every answer of every reading endpoint, for every job that there is; lists also page by page."""
    jobs = [job_id for those in world.jobs.values() for job_id in those]
    for path in {row.path for row in READ}:
        if "{job_id}" in path:
            yield from (caller.get(path.replace("{job_id}", job_id)) for job_id in jobs)
        else:
            yield caller.get(path.replace("{name}", "meta/llama-3.2-1b-instruct"))
    cursor: str | None = ""
    while cursor is not None:
        page = caller.get("/api/jobs", params={"limit": 1} | ({"cursor": cursor} if cursor else {}))
        yield page
        cursor = page.json()["next_cursor"]
    for client in WORKLOADS:
        for sort in ("newest", "oldest"):
            yield caller.get("/api/jobs", params={"client_id": client, "sort": sort})


@pytest.mark.parametrize("name", ["globex", "initech", "stranger"])
def test_no_answer_tells_of_another_client(world: World, name: str) -> None:
    others = [client for client in WORKLOADS if client != name]
    with _caller(world, name) as caller:
        answers = list(_walk(world, caller))
    secrets = [secret for client in others for secret in world.secrets_of(client)]
    told = {
        (str(answer.request.url), secret): answer.text[:300]
        for answer in answers
        for secret in secrets
        if secret in (answer.text + str(answer.headers)).replace(_asked(answer), "")
    }
    assert told == {}


def _asked(answer: httpx.Response) -> str:
    """The job that the caller has named: that may be said back."""
    found = re.search(r"/api/jobs/(\w{24})", str(answer.request.url))
    return found[1] if found else "\0"


@pytest.mark.parametrize("name", WORKLOADS)
def test_each_client_sees_its_own(world: World, name: str) -> None:
    """Without this the test above could pass because nothing is told to anybody."""
    with _caller(world, name) as caller:
        listed = caller.get("/api/jobs", params={"limit": 200}).json()["jobs"]
        workloads = caller.get("/api/workloads").json()["workloads"]
        text = "".join(answer.text for answer in _walk(world, caller))
    assert {job["client_id"] for job in listed} == {name}
    assert [(one["client_id"], one["workload_id"]) for one in workloads] == [(name, WORKLOADS[name][0])]
    assert f"401 from the registry of {name}" in text


@pytest.mark.parametrize("name", [*WORKLOADS, "stranger"])
def test_a_job_of_another_client_is_like_none(world: World, name: str) -> None:
    asked = {(row.method, row.path) for row in rows() if "{job_id}" in row.path}
    theirs = [job_id for client in WORKLOADS if client != name for job_id in world.jobs[client]]
    with _caller(world, name) as caller:
        for method, path in asked:
            absent = caller.request(method, path.replace("{job_id}", NO_JOB))
            assert absent.status_code == 404
            for job_id in theirs:
                answer = caller.request(method, path.replace("{job_id}", job_id))
                assert _shape(answer, job_id) == _shape(absent, NO_JOB), (method, path)


def _shape(answer: httpx.Response, job_id: str) -> tuple[int, str, dict[str, str]]:
    headers = {name: value for name, value in answer.headers.items() if name != "date"}
    return answer.status_code, answer.text.replace(job_id, "JOB"), headers


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_workload_of_another_client_is_like_none(world: World, name: str) -> None:
    other = OTHER[name]
    with _caller(world, name) as caller:
        answers = [
            caller.post("/api/jobs", json={"client_id": client, "workload_id": workload})
            for client, workload in ((other, WORKLOADS[other][0]), ("no-such", "workload"))
        ]
    there, absent = (re.sub(r"'[^']*'", "…", answer.text) for answer in answers)
    assert there == absent
    assert [answer.status_code for answer in answers] == [403, 403]


def test_an_idempotency_key_is_its_callers(world: World) -> None:
    """The same key, by chance or by guess, from two clients: two jobs, and neither learns of the other's."""
    key = {"Idempotency-Key": str(uuid4())}
    ids = []
    for name, (workload, _) in WORKLOADS.items():
        with _caller(world, name) as caller:
            answer = caller.post("/api/jobs", json={"client_id": name, "workload_id": workload}, headers=key)
        assert answer.status_code == 200, answer.text
        ids.append(answer.json()["id"])
        world.jobs[name].append(ids[-1])
    assert len(set(ids)) == 2


def test_airflow_itself_keeps_runs_on_demand_from_who_may_only_start_them(world: World) -> None:
    with _caller(world, "initech") as initech:
        assert initech.get(f"/api/v2/dags/{ON_DEMAND}/dagRuns").status_code == 403
        assert initech.get("/api/v2/dags/~/dagRuns").json()["dag_runs"] == []
    with _caller(world, "globex") as globex:
        assert [dag["dag_id"] for dag in globex.get("/api/v2/dags").json()["dags"]] == [DAGS["globex"]]

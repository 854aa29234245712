"""Jobs over HTTP in Airflow's API server: started, watched, cancelled, as their clients do it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest

from include.flywheel.config.workload import dag_id_of
from include.flywheel.runs import ids
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import RunStatus

from .airflow_server import ApiServer
from .conftest import StartServer

DESK = {"client_id": "acme", "workload_id": "desk"}
DESK_DAG = "flywheel__acme__desk"
ON_DEMAND = "flywheel_on_demand"


@pytest.fixture(scope="module")
def server(api_server: StartServer) -> ApiServer:
    return api_server()


@pytest.fixture(scope="module")
def user(server: ApiServer) -> Iterator[httpx.Client]:
    """Somebody who may start and cancel, and not administer."""
    with server.client("user") as client:
        yield client


def start(client: httpx.Client, key: str | None = None, **body: Any) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post("/api/jobs", json=DESK | body, headers=headers)


def started(client: httpx.Client, **body: Any) -> str:
    answer = start(client, **body)
    assert answer.status_code == 200, answer.text
    job: str = answer.json()["id"]
    return job


def dag_run(client: httpx.Client, runs: RunRepository, job: str) -> dict[str, Any]:
    """Airflow's own view of the run of a job."""
    run = runs.get(job)
    found = client.get(f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}")
    assert found.status_code == 200, found.text
    answer: dict[str, Any] = found.json()
    return answer


def end_in_airflow(client: httpx.Client, runs: RunRepository, job: str) -> str:
    """Have Airflow be done with the run, as if its scheduler had run the teardowns; its path."""
    run = runs.get(job)
    path = f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}"
    for task in client.get(f"{path}/taskInstances").json()["task_instances"]:
        if task["task_id"] in {"nim.undeploy", "close_run"}:
            where = f"{path}/taskInstances/{task['task_id']}"
            done = client.patch(where, json={"new_state": "success"}, params={"map_index": -1})
            assert done.status_code == 200, done.text
    for _ in range(2):
        assert client.patch(path, json={"state": "failed"}).status_code == 200
    assert client.get(path).json()["state"] == "failed"
    return path


def test_a_configured_workload_gets_a_run_of_its_own_dag(user: httpx.Client, runs: RunRepository) -> None:
    split = {"eval_size": 60, "random_seed": 3}
    answer = start(user, config_name="laptop", data_split_config=split)
    assert answer.status_code == 200
    job = answer.json()["id"]
    assert answer.json() == {"id": job, "status": "queued", "message": answer.json()["message"]}
    shown = user.get(f"/api/jobs/{job}").json()
    assert shown["status"] == "pending"
    assert (shown["client_id"], shown["workload_id"]) == ("acme", "desk")
    turned = dag_run(user, runs, job)
    assert turned["dag_id"] == DESK_DAG
    assert turned["state"] == "queued"
    assert turned["triggering_user_name"] == "user"
    assert turned["conf"]["data_split_config"] == split
    assert job == ids.job_id(DESK_DAG, turned["dag_run_id"])


def test_any_other_workload_gets_a_run_on_demand(user: httpx.Client, runs: RunRepository) -> None:
    job = started(user, client_id="acme", workload_id="never seen")
    assert dag_run(user, runs, job)["dag_id"] == ON_DEMAND
    assert runs.get(job).workload_dag_id == dag_id_of("acme", "never seen")


def test_a_repeated_key_starts_one_run_and_tells_of_it_again(
    user: httpx.Client, server: ApiServer, runs: RunRepository
) -> None:
    key = f"key-{uuid4().hex}"
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: start(user, key), range(4)))
    assert {answer.status_code for answer in answers} == {200}
    [job] = {answer.json()["id"] for answer in answers}
    assert start(user, key).json() == answers[0].json()
    other = start(user, key, data_split_config={"eval_size": 10})
    assert other.status_code == 409
    assert key in other.json()["detail"]
    with server.client("admin") as admin:
        assert start(admin, key).json()["id"] != job, "a key is its caller's own"


def test_a_post_that_was_cut_short_is_finished_by_its_repetition(
    user: httpx.Client, runs: RunRepository
) -> None:
    key = f"key-{uuid4().hex}"
    job = start(user, key).json()["id"]
    turned = dag_run(user, runs, job)
    runs._runs.delete_one({"job_id": job})
    assert user.get(f"/api/jobs/{job}").status_code == 404
    assert start(user, key).json()["id"] == job
    assert runs.get(job).run_id == turned["dag_run_id"]


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"config_name": "no_such"}, 404, "no_such"),
        ({"job_type": "video_job"}, 422, "job_type"),
        ({"clientid": "x"}, 422, "clientid"),
        ({"workload_id": ""}, 422, "workload_id"),
        ({"data_split_config": {"val_ratio": 1}}, 422, "val_ratio"),
        ({"data_split_config": {"evalsize": 1}}, 422, "evalsize"),
    ],
)
def test_a_bad_body_is_refused_before_there_is_a_run(
    user: httpx.Client, body: dict[str, Any], status: int, word: str
) -> None:
    answer = start(user, **body)
    assert answer.status_code == status, answer.text
    assert word in answer.json()["detail"]


def test_a_body_that_is_no_json_is_refused(user: httpx.Client) -> None:
    headers = {"Content-Type": "application/json"}
    assert user.post("/api/jobs", content=b"{", headers=headers).status_code == 422
    assert user.post("/api/jobs").status_code == 422


@pytest.mark.parametrize("path", ["", "/report", "/timeline", "/items"])
def test_a_malformed_id_is_400_and_an_unknown_one_404(user: httpx.Client, path: str) -> None:
    assert user.get(f"/api/jobs/not-an-id{path}").status_code == 400
    assert user.get(f"/api/jobs/{'0' * 24}{path}").status_code == 404


def test_who_may_only_see_may_do_nothing(server: ApiServer, user: httpx.Client, runs: RunRepository) -> None:
    job = started(user)
    with server.client("viewer") as viewer:
        assert viewer.get(f"/api/jobs/{job}").status_code == 200
        for answer in (
            start(viewer),
            viewer.post(f"/api/jobs/{job}/cancel"),
            viewer.post(f"/api/jobs/{job}/retry"),
            viewer.delete(f"/api/jobs/{job}"),
        ):
            assert answer.status_code == 403, answer.text
            assert DESK_DAG in answer.json()["detail"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer a.b.c"}, {"Cookie": "_token=a.b.c"}])
def test_without_a_valid_token_nothing_is_told(server: ApiServer, headers: dict[str, str]) -> None:
    for method, path in [
        ("GET", "/api/jobs"),
        ("POST", "/api/jobs"),
        ("GET", f"/api/jobs/{'0' * 24}"),
        ("DELETE", f"/api/jobs/{'0' * 24}"),
        ("POST", f"/api/jobs/{'0' * 24}/cancel"),
        ("GET", "/api/nims"),
        ("GET", "/api/workloads"),
        ("GET", "/api/metrics"),
    ]:
        answer = httpx.request(method, server.url + path, headers=headers, timeout=30)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"] == "Bearer"
        assert set(answer.json()) == {"detail"}


def test_cancel_marks_the_run_failed_in_airflow_and_may_be_repeated(
    user: httpx.Client, runs: RunRepository
) -> None:
    job = started(user)
    answer = user.post(f"/api/jobs/{job}/cancel")
    assert answer.status_code == 200, answer.text
    assert answer.json()["id"] == job
    assert runs.get(job).cancel_requested_at is not None
    run = runs.get(job)
    path = f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances"
    states = {one["task_id"]: one["state"] for one in user.get(path).json()["task_instances"]}
    assert states["prepare"] == "skipped"
    assert states["close_run"] not in {"skipped", "failed"}
    assert user.post(f"/api/jobs/{job}/cancel").status_code == 200
    runs.set_status(job, RunStatus.CANCELLED)
    assert user.post(f"/api/jobs/{job}/cancel").status_code == 200


def test_a_finished_run_is_not_cancelled_and_a_live_one_not_deleted(
    user: httpx.Client, runs: RunRepository
) -> None:
    job = started(user)
    refused = user.delete(f"/api/jobs/{job}")
    assert refused.status_code == 400
    assert "cancel" in refused.json()["detail"]
    runs.set_status(job, RunStatus.COMPLETED)
    assert user.post(f"/api/jobs/{job}/cancel").status_code == 400


def test_a_delete_says_what_is_left_and_the_job_stays_until_nothing_is(
    user: httpx.Client, runs: RunRepository
) -> None:
    job = started(user)
    runs.set_status(job, RunStatus.FAILED, error="it was not to be")
    end_in_airflow(user, runs, job)
    answer = user.delete(f"/api/jobs/{job}")
    assert answer.status_code == 200, answer.text
    assert "data set" in answer.json()["message"], "nobody listens at NeMo's address"
    assert user.get(f"/api/jobs/{job}").status_code == 200
    deletion = runs.get(job).deletion
    assert deletion is not None
    assert deletion.requested_by == "user"
    assert user.post(f"/api/jobs/{job}/retry").status_code == 400, "it is being removed"


def test_a_retry_waits_for_the_end_and_opens_the_run_again(user: httpx.Client, runs: RunRepository) -> None:
    job = started(user)
    assert user.post(f"/api/jobs/{job}/retry").status_code == 400
    runs.set_status(job, RunStatus.FAILED, error="it was not to be")
    assert user.post(f"/api/jobs/{job}/retry").status_code == 400, "Airflow is still at work on it"
    path = end_in_airflow(user, runs, job)
    answer = user.post(f"/api/jobs/{job}/retry")
    assert answer.status_code == 200, answer.text
    shown = user.get(f"/api/jobs/{job}").json()
    assert (shown["status"], shown["error"], shown["finished_at"]) == ("running", None, None)
    assert user.get(path).json()["state"] == "queued"
    assert runs.get(job).pass_number == 1


def test_a_retry_of_a_nim_that_the_run_has_not_is_refused(user: httpx.Client, runs: RunRepository) -> None:
    job = started(user)
    runs.update(job, resolved={"seed": 1}, dataset_uri="hf://datasets/x/y")
    runs.set_status(job, RunStatus.FAILED, error="it was not to be")
    answer = user.post(f"/api/jobs/{job}/retry", params={"nim": "meta/none"})
    assert answer.status_code == 400
    assert "meta/none" in answer.json()["detail"]


def test_a_list_is_filtered_and_paged(user: httpx.Client, runs: RunRepository) -> None:
    workload = f"w-{uuid4().hex[:8]}"
    jobs = [started(user, workload_id=workload) for _ in range(5)]
    runs.set_status(jobs[1], RunStatus.FAILED)
    asked = {"client_id": "acme", "workload_id": workload, "limit": 2, "sort": "oldest"}
    seen, cursor = [], None
    while True:
        page = user.get("/api/jobs", params=asked | ({"cursor": cursor} if cursor else {})).json()
        seen += [one["id"] for one in page["jobs"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == jobs
    failed = user.get("/api/jobs", params={"workload_id": workload, "status": "failed"}).json()["jobs"]
    assert [one["id"] for one in failed] == [jobs[1]]
    opened = runs.get(jobs[3]).created_at
    later = user.get("/api/jobs", params={"workload_id": workload, "created_after": opened}).json()["jobs"]
    assert {one["id"] for one in later} >= set(jobs[3:])
    assert jobs[0] not in {one["id"] for one in later}


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 10_000}, {"status": "done"}, {"cursor": "x"}, {"client": "acme"}]
)
def test_a_question_that_makes_no_sense_is_refused(user: httpx.Client, query: dict[str, Any]) -> None:
    answer = user.get("/api/jobs", params=query)
    assert answer.status_code == 422
    assert next(iter(query)) in answer.json()["detail"]


def test_airflow_still_answers_everything(server: ApiServer) -> None:
    with server.client("admin") as admin:
        assert admin.get("/api/v2/version").status_code == 200
        assert admin.get("/api/v2/dags", params={"limit": 1}).json()["total_entries"] >= 4
        assert admin.get("/api/v2/importErrors").json()["total_entries"] == 0
        assert admin.get("/api/v2/plugins/importErrors").json()["total_entries"] == 0
        theirs = admin.get("/openapi.json").json()["paths"]
        assert "/api/v2/dags/{dag_id}/dagRuns" in theirs
        for path in ("/api/v2/pools", "/api/v2/connections", "/api/v2/eventLogs", "/api/v2/monitor/health"):
            assert admin.get(path).status_code == 200, path
        assert "<html" in admin.get("/").text
        ours = admin.get("/flywheel/openapi.json").json()
        assert ours["servers"] == [{"url": "/"}]
        assert "/api/jobs" in ours["paths"]
        assert "openapi.json" in admin.get("/flywheel/docs").text

"""Health and metrics over HTTP, as a load balancer and Prometheus ask."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from pymongo import MongoClient

from include.flywheel.runs.documents import RunDocument
from include.flywheel.runs.leases.model import LeaseKind, LeaseRequest
from include.flywheel.runs.leases.repository import LeaseRepository
from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import RunStatus

from .airflow_server import ApiServer
from .conftest import DATABASE, METRICS_TOKEN, StartServer


@pytest.fixture(scope="module")
def server(api_server: StartServer) -> ApiServer:
    return api_server()


def scrape(server: ApiServer, token: str = METRICS_TOKEN) -> dict[str, float]:
    """Every figure by its name with its labels."""
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.get(f"{server.url}/api/metrics", headers=headers, timeout=30)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    lines = [line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#")]
    return {re.sub(r',?worker="\d+"', "", name): float(value) for name, value in lines}


def test_without_login_only_the_status_is_told(server: ApiServer) -> None:
    answer = httpx.get(f"{server.url}/api/health", timeout=30)
    assert answer.status_code == 503, "there is no scheduler, and nobody listens at NeMo's address"
    assert answer.json() == {"status": "down", "simulated": None, "dependencies": None}


def test_every_dependency_is_told_with_its_latency_and_no_secret(server: ApiServer) -> None:
    with server.client("viewer") as client:
        answer = client.get("/api/health")
    told = {one["name"]: one for one in answer.json()["dependencies"]}
    for name in ("mongodb", "logs:flywheel_logs", "application:application", "airflow:metadatabase"):
        assert told[name]["state"] == "ok", told[name]
    assert not told["application:application"]["required"]
    for name in ("airflow:scheduler", "airflow:triggerer", "airflow:dag_processor", "nemo:Evaluator"):
        assert told[name]["state"] == "down", name
        assert told[name]["required"]
    assert all(one["latency_ms"] >= 0 for one in told.values())
    assert "secret" not in answer.text


def test_figures_are_for_operators_and_for_the_scrape_token(server: ApiServer) -> None:
    def status(headers: dict[str, str]) -> int:
        return httpx.get(f"{server.url}/api/metrics", headers=headers, timeout=30).status_code

    assert status({}) == 401
    assert status({"Authorization": "Bearer of-nobody"}) == 401
    for user, wanted in {"viewer": 403, "user": 403, "operator": 200, "admin": 200}.items():
        assert status({"Authorization": f"Bearer {server.token(user)}"}) == wanted
    assert status({"Authorization": f"Bearer {METRICS_TOKEN}"}) == 200


def test_figures_are_those_of_the_store_at_this_moment(
    server: ApiServer, runs: RunRepository, mongo_uri: str
) -> None:
    runs.ensure_indexes()
    before = scrape(server)
    opened = datetime.now(UTC) - timedelta(days=300)
    for number, (status, decision) in enumerate(
        [(RunStatus.RUNNING, None), (RunStatus.COMPLETED, {"verdict": "PROMOTABLE"})]
    ):
        runs.open(
            RunDocument(
                job_id=f"fe{number:022x}",
                dag_id="flywheel__globex__desk",
                run_id=f"figures{number}",
                client_id="globex",
                workload_id="desk",
                status=status,
                decision=decision,
                created_at=opened.isoformat(timespec="milliseconds"),
            )
        )
    with MongoClient(mongo_uri) as client:
        leases = LeaseRepository(client[DATABASE])
        for slug in ("a", "b"):
            wanted = {"job_id": "fe" * 12, "slug": slug, "gpus": 2, "total": 3, "try_number": 1}
            leases.take(LeaseRequest(kind=LeaseKind.SERVING, **wanted))
        after = scrape(server)
        leases.forget("fe" * 12)
    for status in ("running", "completed"):
        name = f'flywheel_runs{{status="{status}"}}'
        assert after[name] == before[name] + 1
    assert after["flywheel_oldest_live_run_age_seconds"] == pytest.approx(300 * 86400, abs=60)
    assert after['flywheel_gpus_held{kind="serving"}'] == 2
    assert after['flywheel_gpus_waiting{kind="serving"}'] == 2
    labels = 'client_id="globex",workload_id="desk"'
    verdict = labels.replace(",", ',verdict="PROMOTABLE",')
    assert after[f"flywheel_last_verdict{{{verdict}}}"] == 1
    assert after[f"flywheel_last_verdict_age_seconds{{{labels}}}"] > 299 * 86400
    runs.set_status(f"fe{0:022x}", RunStatus.FAILED)


def test_requests_are_counted_by_route_and_not_by_what_is_asked_for(server: ApiServer) -> None:
    with server.client("viewer") as client:
        client.get(f"/api/jobs/{'0' * 24}")
        client.get("/api/jobs/guess/some/more")
    seen = scrape(server)
    assert seen['flywheel_http_requests_total{method="GET",path="/api/jobs/{job_id}",status="404"}'] >= 1
    assert seen['flywheel_http_requests_total{method="GET",path="other",status="404"}'] >= 1
    durations = 'flywheel_http_request_duration_seconds_count{method="GET",path="/api/jobs/{job_id}"}'
    assert seen[durations] >= 1
    assert not any("guess" in name or "0000" in name for name in seen)

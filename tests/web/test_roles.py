"""Roles of the simple auth manager, asked cell by cell; and the page that shows the table."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import RunStatus

from .airflow_server import ApiServer
from .cells import WORKLOADS, ask, expected
from .people import DAGS, ON_DEMAND
from .roles import EVERYWHERE, Row, page, rows
from .written import write_run

PAGE = Path(__file__).parents[2] / "docs" / "roles.md"


def test_every_endpoint_is_in_the_table(server_apart: ApiServer) -> None:
    with server_apart.client(None) as anybody:
        paths = anybody.get("/flywheel/openapi.json").json()["paths"]
    documented = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert {row.endpoint for row in rows()} == documented


def test_the_page_is_of_today() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.web.roles > docs/roles.md"


@pytest.mark.parametrize("role", EVERYWHERE)
def test_each_role_may_do_what_the_table_says(
    server_apart: ApiServer, runs_apart: RunRepository, role: str
) -> None:
    def new_job(row: Row) -> str:
        workload = WORKLOADS[row.client]
        if row.path.endswith("/cancel"):
            asked = {"client_id": row.client, "workload_id": workload}
            job_id: str = admin.post("/api/jobs", json=asked).raise_for_status().json()["id"]
            return job_id
        status = RunStatus.FAILED if row.path.endswith("/retry") else RunStatus.COMPLETED
        dag_id = DAGS["globex"] if row.client == "globex" else ON_DEMAND
        run_id = f"{role} {row.method} {row.path}"
        return write_run(runs_apart, dag_id, run_id, row.client, workload, status).job_id

    with server_apart.client() as admin, server_apart.client(None if role == "nobody" else role) as caller:
        found = {row: ask(caller, row, admin, new_job) for row in rows()}
    wrong = {
        f"{row.method} {row.path} {row.client}": (answer.status_code, answer.text[:200])
        for row, answer in found.items()
        if answer.status_code != expected(row, role)
    }
    assert wrong == {}


def test_health_says_no_more_than_its_word_to_nobody(server_apart: ApiServer) -> None:
    with server_apart.client(None) as nobody:
        said = {name: value for name, value in nobody.get("/api/health").json().items() if value is not None}
    assert said == {"status": "down"}

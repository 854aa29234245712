"""Requests made from our OpenAPI schema: whoever asks, no server error, no status that is not documented."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS

from include.flywheel.runs.repository import RunRepository
from include.flywheel.runs.states import RunStatus

from .airflow_server import ApiServer
from .cells import new_feedback
from .written import NIMS, write_run

SCHEMA_PATH = "/flywheel/openapi.json"
AS_DOCUMENTED = ["status_code_conformance", "content_type_conformance", "response_schema_conformance"]
NO_FAULT = "not_a_server_error"
# Its 503 says that there is no scheduler, and there is none.
HEALTH = "/api/health"
EXAMPLES = 8
LONG_SECONDS = 60
CALLERS = [None, "viewer", "admin"]


@pytest.fixture
def job_ids(runs_apart: RunRepository) -> list[str]:
    """A run in each state."""
    dag_id, name = "flywheel__globex__desk", uuid4().hex
    return [
        write_run(runs_apart, dag_id, f"{name}-{status}", "globex", "desk", status).job_id
        for status in RunStatus
    ]


def _headers(server: ApiServer, user: str | None) -> dict[str, str]:
    return {} if user is None else {"Authorization": f"Bearer {server.token(user)}"}


@pytest.mark.parametrize("user", CALLERS, ids=str)
def test_answers_are_as_documented(
    server_apart: ApiServer, job_ids: list[str], user: str | None, subtests: pytest.Subtests
) -> None:
    schema = schemathesis.openapi.from_url(f"{server_apart.url}{SCHEMA_PATH}")
    schema.config.update(base_url=server_apart.url)
    with server_apart.client() as admin:
        feedback = [new_feedback(admin) for _ in range(3)]
    known = {"job_id": job_ids, "name": list(NIMS), "feedback_id": feedback}
    operations = [found.ok() for found in schema.get_all_operations()]
    assert operations
    for operation in operations:
        with subtests.test(operation.label):
            statuses = _fuzz(operation, known, _headers(server_apart, user))
            # Else nothing but refusals would have been looked at.
            assert user != "admin" or operation.method != "get" or statuses & {200, 503}


def _fuzz(operation: Any, known: dict[str, list[str]], headers: dict[str, str]) -> set[int]:
    """Right and wrong requests to one endpoint, half of them to something that exists; gives the statuses."""
    right = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    wrong = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    checks = CHECKS.get_by_names([*AS_DOCUMENTED, *([] if operation.path == HEALTH else [NO_FAULT])])
    statuses: set[int] = set()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=right | wrong, at=st.integers(0, 9), exists=st.booleans())
    def ask(case: Any, at: int, exists: bool) -> None:
        for name in known.keys() & (case.path_parameters or {}).keys() if exists else ():
            case.path_parameters[name] = known[name][at % len(known[name])]
        answer = case.call(headers=headers)
        case.validate_response(answer, checks=checks)
        statuses.add(answer.status_code)

    ask()
    return statuses


def test_what_was_found_once(server_apart: ApiServer, job_ids: list[str]) -> None:
    """A body that is no text, and a place in a list beyond what Python counts to."""
    with server_apart.client() as admin:
        headers = {"Content-Type": "application/json"}
        assert admin.post("/api/jobs", content=b"\xff{}", headers=headers).status_code == 422
        beyond = admin.get(f"/api/jobs/{job_ids[0]}/items", params={"cursor": "9" * 20})
        assert beyond.status_code == 422


@pytest.mark.slow
@pytest.mark.parametrize("user", CALLERS, ids=str)
def test_answers_are_as_documented_whatever_is_tried(
    server_apart: ApiServer, job_ids: list[str], user: str | None, tmp_path: Path
) -> None:
    """Schemathesis as a program: every boundary of the schema, and requests that follow from answers."""
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{server_apart.url}{SCHEMA_PATH}"]
    command += ["--url", server_apart.url, "--checks", ",".join([NO_FAULT, *AS_DOCUMENTED])]
    command += ["--max-time", str(LONG_SECONDS), "--exclude-path", HEALTH, "--suppress-health-check", "all"]
    for name, value in _headers(server_apart, user).items():
        command += ["--header", f"{name}:{value}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-20_000:]

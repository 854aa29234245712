"""Airflow's REST API, as far as the demo and the end-to-end tests need it."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

import httpx

from include.local_stack.errors import StackError

_REGISTERED_SECONDS = 90.0
_POLL_SECONDS = 0.5
_DEADLOCK_SECONDS = 5.0


class AirflowApi:
    """A session of one user. A context manager."""

    def __init__(self, base_url: str, user: str, password: str) -> None:
        self._http = httpx.Client(base_url=base_url, timeout=30)
        answer = self._send("POST", "/auth/token", json={"username": user, "password": password})
        if answer.status_code != 201:
            raise StackError(f"Airflow at {base_url} does not log {user!r} in: {answer.text[:300]}")
        self._http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def __enter__(self) -> AirflowApi:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def wait_for_dag(self, dag_id: str) -> None:
        """Wait until the DAG was parsed. Raises StackError with the import errors when it was not."""
        deadline = time.monotonic() + _REGISTERED_SECONDS
        while self._send("GET", f"/api/v2/dags/{dag_id}").status_code != 200:
            if time.monotonic() > deadline:
                errors = self._send("GET", "/api/v2/importErrors").json().get("import_errors", [])
                raise StackError(f"Airflow knows no DAG {dag_id}; import errors: {errors or 'none'}")
            time.sleep(_POLL_SECONDS)

    def unpause(self, dag_id: str) -> None:
        """Let the DAG run."""
        self._check(self._send("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": False}))

    def set_connection_host(self, conn_id: str, host: str) -> None:
        """Change where a connection leads."""
        answer = self._send(
            "PATCH",
            f"/api/v2/connections/{conn_id}",
            params={"update_mask": "host"},
            json={"connection_id": conn_id, "conn_type": conn_id, "host": host},
        )
        self._check(answer)

    def trigger(self, dag_id: str, run_id: str, conf: dict[str, Any]) -> httpx.Response:
        """Start a run; the answer as it came, so that a refusal can be looked at."""
        body = {"logical_date": None, "dag_run_id": run_id, "conf": conf}
        return self._send("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)

    def start(self, dag_id: str, run_id: str, conf: dict[str, Any]) -> None:
        """Start a run. Raises StackError with Airflow's words when it is refused."""
        self._check(self.trigger(dag_id, run_id, conf))

    def run_state(self, dag_id: str, run_id: str) -> str:
        """queued, running, success or failed."""
        state: str = self._check(self._send("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")).json()["state"]
        return state

    def mark_failed(self, dag_id: str, run_id: str) -> None:
        """What the UI's button *Mark run as failed* does; pressed again where the database had a deadlock."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}"
        deadline = time.monotonic() + _DEADLOCK_SECONDS
        while True:
            answer = self._send("PATCH", path, json={"state": "failed"})
            if answer.status_code != 500 or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        self._check(answer)

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Every task instance of a run."""
        answer = self._send(
            "GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances", params={"limit": 1000}
        )
        found: list[dict[str, Any]] = self._check(answer).json()["task_instances"]
        return found

    def task_log(
        self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1, try_number: int = 1
    ) -> str:
        """The log of one try, as text."""
        answer = self._send(
            "GET",
            f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{try_number}",
            params={"map_index": map_index, "full_content": True},
            headers={"Accept": "application/x-ndjson"},
        )
        return self._check(answer).text

    def get(self, path: str, **params: Any) -> Any:
        """GET of any path of the REST API, as JSON."""
        return self._check(self._send("GET", path, params=params)).json()

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The answer, whatever its status. Raises StackError when there is none."""
        try:
            return self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise StackError(
                f"Airflow at {self._http.base_url} did not answer {method} {path}: {error!r}"
            ) from error

    def _check(self, answer: httpx.Response) -> httpx.Response:
        if answer.is_error:
            raise StackError(
                f"Airflow answered {answer.status_code} to {answer.request.url.path}: {answer.text[:500]}"
            )
        return answer

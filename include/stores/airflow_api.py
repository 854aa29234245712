"""Airflow's REST API behind the connection `airflow_api`, for commands that people give outside Airflow.

Inside Airflow's API server runs are started and cancelled in process, with the caller's own identity.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from include.flywheel.errors import ConfigError, FlywheelError
from include.stores import connections

CONN_ID = "airflow_api"
_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_DEFAULT_PORTS = {"http": 8080, "https": 443}
_SHOWN = 300
_MARK_FAILED_WAITS_SECONDS = (0.2, 0.5, 1.0, 2.0)


class AirflowUnreachable(FlywheelError):
    """Airflow's API server did not answer."""


class AirflowRefused(FlywheelError):
    """Airflow answered, and said no."""


def find_airflow_api() -> AirflowApi | None:
    """The API behind the connection; None where nobody configured it. Raises ConfigError, as below."""
    return None if connections.find(CONN_ID) is None else open_airflow_api()


def open_airflow_api() -> AirflowApi:
    """The API behind the connection; it logs in at the first request.

    Type `http`: host (with or without scheme), port, schema (`http` or `https`), login and password; or a
    token as the password, and no login. Raises ConfigError where something of it is missing.
    """
    connection = connections.get(CONN_ID, "Airflow's REST API")
    if not connection.host:
        raise ConfigError(f"connection {CONN_ID!r}: `host` is empty; name the host of Airflow's API server")
    if not connection.password:
        raise ConfigError(
            f"connection {CONN_ID!r}: `password` is empty; give the password of `login`, or a token "
            "and no login"
        )
    url = _url(connection.host, connection.port, connection.schema)
    return AirflowApi(url, connection.password, user=connection.login or None)


def _url(host: str, port: int | None, schema: str | None) -> str:
    given = urlsplit(host if "://" in host else f"{schema or 'http'}://{host}")
    if given.scheme not in _DEFAULT_PORTS or not given.hostname or given.username or given.password:
        raise ConfigError(
            f"connection {CONN_ID!r}: `host` and `schema` must make an http(s) address without user and "
            "password, for example host `airflow.example.com` and schema `https`"
        )
    name = f"[{given.hostname}]" if ":" in given.hostname else given.hostname
    chosen = given.port or port or _DEFAULT_PORTS[given.scheme]
    return f"{given.scheme}://{name}:{chosen}{given.path.rstrip('/')}"


class AirflowApi:
    """A session of one user, or of a token. A context manager."""

    def __init__(self, url: str, secret: str, *, user: str | None = None) -> None:
        """`secret`: the password of `user`, or without one a token."""
        self._http = httpx.Client(base_url=url, timeout=_TIMEOUT)
        self._secret = secret
        self._user = user
        self.url = url

    def __enter__(self) -> AirflowApi:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def run_state(self, dag_id: str, run_id: str) -> str | None:
        """queued, running, success or failed; None where Airflow knows no such run."""
        answer = self._request("GET", _run_path(dag_id, run_id))
        if answer.status_code == 404:
            return None
        return str(self._json(answer)["state"])

    def is_paused(self, dag_id: str) -> bool:
        """Whether nothing of the DAG is scheduled at present."""
        answer = self._request("GET", f"/api/v2/dags/{_quoted(dag_id)}")
        return bool(self._json(answer)["is_paused"])

    def mark_failed(self, dag_id: str, run_id: str) -> None:
        """What the button *Mark run as failed* does: Airflow ends the tasks and runs the teardowns.

        Where the scheduler writes the same rows, the database may break a deadlock by refusing this request:
        Airflow answers 500, nothing has changed, and asking again is what a person would do.
        """
        for wait_seconds in (*_MARK_FAILED_WAITS_SECONDS, None):
            answer = self._request("PATCH", _run_path(dag_id, run_id), {"state": "failed"})
            if answer.status_code != 500 or wait_seconds is None:
                break
            time.sleep(wait_seconds)
        self._checked(answer)

    def clear(self, dag_id: str, run_id: str, tasks: Sequence[str | list[str | int]]) -> int:
        """Run these tasks again, with all that follows them; returns how many instances were cleared.

        A task is its id, or `[id, map_index]`. Raises AirflowRefused where Airflow cleared nothing.
        """
        body = {
            "dry_run": False,
            # Also what succeeded: the task that reads an old job would only read it again.
            "only_failed": False,
            "include_downstream": True,
            "dag_run_id": run_id,
            "task_ids": list(tasks),
        }
        path = f"/api/v2/dags/{_quoted(dag_id)}/clearTaskInstances"
        answer = self._json(self._request("POST", path, body))
        # The list is whole; the count beside it may be absent.
        cleared = len(answer.get("task_instances", []))
        if cleared == 0:
            raise AirflowRefused(
                f"Airflow at {self.url} cleared no task of {run_id!r}: the DAG {dag_id!r} may have changed "
                f"since that run ({', '.join(map(str, tasks))}); start a new run"
            )
        return cleared

    def _request(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        if "Authorization" not in self._http.headers:
            self._http.headers["Authorization"] = f"Bearer {self._token()}"
        return self._send(method, path, body)

    def _token(self) -> str:
        if self._user is None:
            return self._secret
        answer = self._send("POST", "/auth/token", {"username": self._user, "password": self._secret})
        if answer.status_code in {400, 401, 403, 422}:
            raise AirflowRefused(
                f"Airflow at {self.url} does not log {self._user!r} in ({answer.status_code}): check login "
                f"and password of connection {CONN_ID!r}"
            )
        return str(self._json(answer)["access_token"])

    def _send(self, method: str, path: str, body: dict[str, Any] | None) -> httpx.Response:
        """The answer, whatever its status. Raises AirflowUnreachable when there is none."""
        try:
            return self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise AirflowUnreachable(
                f"Airflow at {self.url} did not answer ({type(error).__name__}): is its API server up, and "
                f"are host, port and schema of connection {CONN_ID!r} right?"
            ) from None

    def _json(self, answer: httpx.Response) -> dict[str, Any]:
        """The object that a successful answer holds."""
        try:
            found: dict[str, Any] = self._checked(answer).json()
        except ValueError:
            path = answer.request.url.path
            raise AirflowRefused(
                f"{self.url} answered {path} without JSON: connection {CONN_ID!r} may lead to something "
                "else than Airflow"
            ) from None
        return found

    def _checked(self, answer: httpx.Response) -> httpx.Response:
        if answer.is_success:
            return answer
        status, path = answer.status_code, answer.request.url.path
        raise AirflowRefused(f"Airflow at {self.url} answered {status} to {path}{self._why(answer)}")

    def _why(self, answer: httpx.Response) -> str:
        """What Airflow says, or what to do about it. The secret is blotted out, should it be echoed."""
        if answer.status_code == 401:
            return f": it does not accept the login or token of connection {CONN_ID!r}; it may have expired"
        if answer.status_code == 403:
            return f": the user of connection {CONN_ID!r} may not do this"
        if answer.status_code == 404:
            return ": it knows no such DAG or run; does the connection lead to the right Airflow?"
        said = answer.text.replace(self._secret, "***")[:_SHOWN].strip()
        return f": {said}" if said else ""


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/api/v2/dags/{_quoted(dag_id)}/dagRuns/{_quoted(run_id)}"


def _quoted(part: str) -> str:
    return quote(part, safe="")

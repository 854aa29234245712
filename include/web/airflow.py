"""Airflow's REST API in process, with the caller's own identity: its permissions and its audit log apply."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote

import httpx
from fastapi import Depends, HTTPException, Request

from include.web.access import CurrentCaller
from include.web.dispatch import AIRFLOW_KEY

log = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 60.0
# Where two write the same rows at once the database may refuse one of them: Airflow answers 500, nothing has
# changed, and asking again is what a person would do.
_WAITS_SECONDS = (0.2, 0.5, 1.0)
_SHOWN = 500
_AT_WORK = {"queued", "running"}


class RunState(StrEnum):
    """A DAG run as its caller may see it. At work: Airflow runs something of it, or will."""

    AT_WORK = "at work"
    OVER = "over"
    ABSENT = "absent"
    HIDDEN = "hidden"


class AirflowSession:
    """Airflow as one caller sees it. Every method raises HTTPException with Airflow's reason."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def start_run(self, dag_id: str, run_id: str, conf: dict[str, Any], note: str) -> bool:
        """Start a run, or find that this very run was started before; whether it was started now.

        422 in Airflow's words where the conf does not fit the DAG's form, 503 where it knows no such DAG yet.
        """
        body = {"logical_date": None, "dag_run_id": run_id, "conf": conf, "note": note}
        answer = await self._send("POST", f"/api/v2/dags/{_quoted(dag_id)}/dagRuns", body)
        if answer.status_code == 409:
            return False
        if answer.status_code == 400:
            raise HTTPException(422, _said(answer))
        if answer.status_code == 404:
            raise HTTPException(
                503, f"Airflow has not read the DAG {dag_id!r} yet: is its dag-processor running? Try again"
            )
        _check(answer)
        return True

    async def is_paused(self, dag_id: str) -> bool:
        """Whether nothing of the DAG is scheduled at present; False where the caller may not know."""
        answer = await self._send("GET", f"/api/v2/dags/{_quoted(dag_id)}")
        return answer.status_code == 200 and bool(answer.json()["is_paused"])

    async def run_state(self, dag_id: str, run_id: str) -> RunState:
        """How Airflow stands with a run.

        Hidden: who may start and end runs of the on-demand DAG need not be let read it, since it holds the
        runs of all clients.
        """
        answer = await self._send("GET", _run_path(dag_id, run_id))
        if answer.status_code == 404:
            return RunState.ABSENT
        if answer.status_code == 403:
            return RunState.HIDDEN
        return RunState.AT_WORK if str(_check(answer).json()["state"]) in _AT_WORK else RunState.OVER

    async def mark_failed(self, dag_id: str, run_id: str) -> bool:
        """What the button *Mark run as failed* does: Airflow ends the tasks and runs the teardowns.

        Returns whether there is such a run.
        """
        answer = await self._send("PATCH", _run_path(dag_id, run_id), {"state": "failed"})
        if answer.status_code == 404:
            return False
        _check(answer)
        return True

    async def clear(self, dag_id: str, run_id: str, tasks: Sequence[str | list[str | int]]) -> int:
        """Run these tasks again, with all that follows them; how many instances were cleared.

        A task is its id, or `[id, map_index]`. 409 where Airflow has no such run, or cleared nothing.
        """
        body = {
            "dry_run": False,
            # Also what succeeded: the task that reads an old job would only read it again.
            "only_failed": False,
            "include_downstream": True,
            "dag_run_id": run_id,
            "task_ids": list(tasks),
        }
        answer = await self._send("POST", f"/api/v2/dags/{_quoted(dag_id)}/clearTaskInstances", body)
        if answer.status_code == 404:
            raise HTTPException(409, f"Airflow has no run {run_id!r} of {dag_id!r}: start a new run")
        # The list is whole; the count beside it may be absent.
        cleared = len(_check(answer).json().get("task_instances", []))
        if cleared == 0:
            raise HTTPException(
                409, f"Airflow cleared no task of {run_id!r}: the DAG may have changed since; start a new run"
            )
        return cleared

    async def health(self) -> dict[str, Any]:
        """`/api/v2/monitor/health`: its database, and when each component last gave a sign of life."""
        found: dict[str, Any] = _check(await self._send("GET", "/api/v2/monitor/health")).json()
        return found

    async def _send(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        for wait_seconds in (*_WAITS_SECONDS, None):
            answer = await self._http.request(method, path, json=body)
            if answer.status_code < 500 or wait_seconds is None:
                break
            log.warning("Airflow answered %s to %s %s; asking again", answer.status_code, method, path)
            await asyncio.sleep(wait_seconds)
        return answer


def open_session(request: Request, token: str | None) -> httpx.AsyncClient:
    """A client of the Airflow that serves this request. 503 where our application is served alone."""
    app = request.scope.get(AIRFLOW_KEY)
    if app is None:
        raise HTTPException(503, "runs are started and ended inside Airflow's API server: ask there")
    # A failure inside Airflow is an answer of 500, as over the network.
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    # Airflow's own paths, wherever a proxy may have mounted them.
    root = str(app.root_path).rstrip("/")
    return httpx.AsyncClient(
        transport=transport,
        base_url=f"http://airflow.internal{root}",
        headers=headers,
        timeout=_TIMEOUT_SECONDS,
    )


async def _session(request: Request, caller: CurrentCaller) -> AsyncIterator[AirflowSession]:
    async with open_session(request, caller.token) as http:
        yield AirflowSession(http)


Airflow = Annotated[AirflowSession, Depends(_session)]
"""Airflow in the caller's name."""


def _check(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    if answer.status_code in {401, 403}:
        raise HTTPException(answer.status_code, f"Airflow refuses this: {_said(answer)}")
    path = answer.request.url.path
    raise HTTPException(503, f"Airflow answered {answer.status_code} to {path}: {_said(answer)}")


def _said(answer: httpx.Response) -> str:
    """What Airflow says, in its own words."""
    try:
        detail = answer.json().get("detail", answer.text)
    except (ValueError, AttributeError):
        detail = answer.text
    return (detail if isinstance(detail, str) else str(detail))[:_SHOWN].strip()


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/api/v2/dags/{_quoted(dag_id)}/dagRuns/{_quoted(run_id)}"


def _quoted(part: str) -> str:
    return quote(part, safe="")

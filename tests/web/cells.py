"""Asks for one cell of the table of roles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx

from .roles import Row
from .written import NIMS

# Nothing runs what is started here: Airflow's scheduler is down, and it knows no run that was only written.
DONE = {("GET", "/api/health"): 503, ("POST", "/api/jobs/{job_id}/retry"): 409}
WORKLOADS = {"globex": "desk", "initech": "chat"}
FEEDBACK = {"query": "Where is my parcel?", "response": "On its way.", "model": "gpt-4o", "rating": 1}

NewJob = Callable[[Row], str]
"""A job of the row's client, in a state in which the request can be done."""


def expected(row: Row, caller: str) -> int:
    """The status that the table says."""
    said = row.allowed[caller]
    return DONE.get(row.endpoint, 200) if said in {"yes", "own"} else int(said)


def ask(http: httpx.Client, row: Row, admin: httpx.Client, new_job: NewJob) -> httpx.Response:
    """The row's request by the caller behind `http`."""
    path = row.path.replace("{name}", NIMS[0])
    if "{job_id}" in path:
        path = path.replace("{job_id}", new_job(row))
    if "{feedback_id}" in path:
        path = path.replace("{feedback_id}", new_feedback(admin))
    params = {"user_id": "nobody"} if row.endpoint == ("DELETE", "/v1/feedback") else None
    return http.request(row.method, path, params=params, json=_body(row, admin))


def new_feedback(admin: httpx.Client) -> str:
    """The id of a row of feedback that the admin submits."""
    made: str = admin.post("/v1/feedback", json=FEEDBACK).raise_for_status().json()["feedback_id"]
    return made


def _body(row: Row, admin: httpx.Client) -> dict[str, Any] | None:
    if row.endpoint == ("POST", "/api/jobs"):
        return {"client_id": row.client, "workload_id": WORKLOADS[row.client]}
    if row.path.startswith("/v1/feedback"):
        return {"POST": FEEDBACK if row.path == "/v1/feedback" else {}, "PUT": {"rating": -1}}.get(row.method)
    if row.method == "PUT":
        seen = admin.get(f"/api/nims/{NIMS[0]}").raise_for_status().json()
        return {"version": seen["version"], "enabled": True}
    return None

"""`GET /api/health`: whether the wheel can turn, and what keeps it from that."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Literal

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel, Field

from include.flywheel.config.workload import Workload, load_workloads
from include.flywheel.errors import ConfigError
from include.stores import health as stores
from include.stores.health import Checked
from include.web.access import Caller, MaybeCaller, permitted
from include.web.airflow import AirflowSession, open_session
from include.web.responses import refusals

router = APIRouter(tags=["health"])

State = Literal["ok", "down"]
Status = Literal["ok", "degraded", "down"]
# Anybody may ask, and each answer asks a dozen services: no oftener than this.
_FRESH_SECONDS = 5.0
_LIMIT_SECONDS = 15.0
_DEFAULT_LOGS, _DEFAULT_APPLICATION = "flywheel_logs", "application"
_COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


class Dependency(BaseModel):
    """One thing that runs stand on."""

    name: str = Field(examples=["airflow:scheduler"])
    state: State = Field(examples=["ok"])
    required: bool = Field(description="Whether no run can go on without it.", examples=[True])
    latency_ms: float = Field(description="Milliseconds until it had answered.", examples=[4.2])
    detail: str = Field(description="What it said.", examples=["answers"])


class Health(BaseModel):
    """`down`: no run can go on. `degraded`: runs go on, not everything works."""

    status: Status = Field(examples=["ok"])
    simulated: bool | None = Field(
        default=None, description="Whether the local stand-in takes NeMo's place; null: not known."
    )
    dependencies: list[Dependency] | None = Field(
        default=None, description="Only for who is logged in; null for others."
    )


@router.get(
    "/api/health",
    summary="Whether the wheel can turn",
    responses=refusals() | {503: {"model": Health, "description": "No run can go on."}},
)
async def read_health(request: Request, response: Response, caller: MaybeCaller) -> Health:
    """Every dependency with its state and latency; without login the status alone.

    200 while runs can go on, 503 when they cannot. At most 5 seconds old.
    """
    cache: HealthCache = request.app.state.health
    found = await cache.get(request)
    response.status_code = 503 if found.status == "down" else 200
    response.headers["Cache-Control"] = "no-store"
    if caller is None:
        return Health(status=found.status)
    return await asyncio.to_thread(_as_seen_by, caller, found)


def _as_seen_by(caller: Caller, found: Health) -> Health:
    """Less the log stores and applications that only workloads have which the caller may not see."""
    users = _users()
    seen = permitted(caller, {dag_id for dag_ids in users.values() for dag_id in dag_ids})
    shown = [
        one
        for one in found.dependencies or []
        if one.name not in users or not seen.isdisjoint(users[one.name])
    ]
    return found.model_copy(update={"dependencies": shown})


class HealthCache:
    """The last answer, and one question at a time."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._found: Health | None = None
        self._asked_at = 0.0

    async def get(self, request: Request) -> Health:
        """An answer that is fresh enough."""
        async with self._lock:
            if self._found is None or time.monotonic() - self._asked_at > _FRESH_SECONDS:
                self._found = await _ask(request)
                self._asked_at = time.monotonic()
            return self._found


async def _ask(request: Request) -> Health:
    logs, applications = await asyncio.to_thread(_conn_ids)
    nemo_asked = asyncio.create_task(_within(stores.check_nemo))
    airflow_asked = asyncio.create_task(_airflow(request))
    checked = await asyncio.gather(
        _check("mongodb", stores.check_runs),
        _check("feedback", stores.check_feedback),
        *(_check(f"logs:{one}", stores.check_logs, one) for one in logs),
        *(_check(f"application:{one}", stores.check_application, one) for one in applications),
    )
    airflow, nemo = await airflow_asked, await nemo_asked
    services = [_late("nemo")] if nemo is None else nemo.services
    needed = {"mongodb", f"logs:{_DEFAULT_LOGS}", *(one.name for one in services)}
    found = airflow + [_dependency(one, one.name in needed) for one in [*checked, *services]]
    return Health(
        status=_status(found), simulated=None if nemo is None else nemo.simulated, dependencies=found
    )


def _status(found: list[Dependency]) -> Status:
    down = [one for one in found if one.state == "down"]
    if any(one.required for one in down):
        return "down"
    return "degraded" if down else "ok"


def _conn_ids() -> tuple[list[str], list[str]]:
    """The log stores and applications of the configured workloads, and those of every other."""
    workloads = _workloads()
    logs = {_DEFAULT_LOGS, *(one.logs_conn_id for one in workloads)}
    told = {one for workload in workloads for one in (workload.application_conn_id, *workload.notifiers)}
    return sorted(logs), sorted({_DEFAULT_APPLICATION, *told})


def _users() -> dict[str, set[str]]:
    """By the name of a dependency that not everybody shares: the DAGs of the workloads that have it."""
    users: dict[str, set[str]] = {}
    for one in _workloads():
        for kind, conn_id, default in (
            ("logs", one.logs_conn_id, _DEFAULT_LOGS),
            *(
                ("application", conn_id, _DEFAULT_APPLICATION)
                for conn_id in (one.application_conn_id, *one.notifiers)
            ),
        ):
            if conn_id != default:
                users.setdefault(f"{kind}:{conn_id}", set()).add(one.dag_id)
    return users


def _workloads() -> list[Workload]:
    try:
        return load_workloads()
    except ConfigError:
        # Its DAGs are not there either, which Airflow shows as an import error.
        return []


async def _check(name: str, ask: Callable[..., Checked], *arguments: str) -> Checked:
    return await _within(ask, *arguments) or _late(name)


async def _within(ask: Callable[..., Any], *arguments: str) -> Any:
    """What a question that blocks answers; None where it takes too long."""
    try:
        return await asyncio.wait_for(asyncio.to_thread(ask, *arguments), _LIMIT_SECONDS)
    except TimeoutError:
        return None


def _late(name: str) -> Checked:
    seconds = _LIMIT_SECONDS
    return Checked(name, ok=False, detail=f"no answer within {seconds:.0f} s", latency_ms=seconds * 1000)


def _dependency(checked: Checked, required: bool) -> Dependency:
    return Dependency(
        name=checked.name,
        state="ok" if checked.ok else "down",
        required=required,
        latency_ms=checked.latency_ms,
        detail=checked.detail,
    )


async def _airflow(request: Request) -> list[Dependency]:
    began = time.perf_counter()
    try:
        async with open_session(request, None) as http:
            answer = await asyncio.wait_for(AirflowSession(http).health(), _LIMIT_SECONDS)
    except (HTTPException, TimeoutError) as error:
        why = error.detail if isinstance(error, HTTPException) else "no answer in time"
        return [_dependency(Checked("airflow", ok=False, detail=why, latency_ms=0.0), required=True)]
    took = round((time.perf_counter() - began) * 1000, 1)
    return [
        _dependency(_component(part, answer.get(part) or {}, took), required=True) for part in _COMPONENTS
    ]


def _component(part: str, said: dict[str, Any], took: float) -> Checked:
    status = said.get("status")
    beat = next((value for key, value in said.items() if key.startswith("latest_") and value), None)
    words = [str(status or "never seen"), *([f"last sign of life {beat}"] if beat else [])]
    return Checked(f"airflow:{part}", ok=status == "healthy", detail=", ".join(words), latency_ms=took)

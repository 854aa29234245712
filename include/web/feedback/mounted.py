"""The feedback API inside Airflow's API server: callers are Airflow's, and so are their permissions."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter

from include.web import access
from include.web.access import CurrentCaller
from include.web.feedback.callers import Action, FeedbackCaller
from include.web.feedback.health import build_health
from include.web.feedback.opening import Feedback
from include.web.feedback.router import build_router

DAG_ID = "feedback_export"
"""What a caller may do with feedback is what they may do with the runs of this DAG."""
_NEEDED: dict[Action, access.Method] = {
    "read": "GET",
    "write": "POST",
    "delete": "DELETE",
    "export": "POST",
}


async def identify(caller: CurrentCaller) -> FeedbackCaller:
    """Airflow's caller; 401 without one. Idempotency keys are theirs by name."""

    async def require(action: Action) -> None:
        # Auth managers ask their database: not in the event loop.
        await asyncio.to_thread(access.require, caller, _NEEDED[action], DAG_ID)

    return FeedbackCaller(scope=f"airflow:{caller.name}", require=require)


def feedback_routers() -> list[APIRouter]:
    """The endpoints and `/v1/health`, on a pool that the first request opens."""
    feedback = Feedback()
    return [build_router(identify, feedback), build_health(feedback, "/v1/health")]

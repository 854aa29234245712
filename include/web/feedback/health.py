"""Whether the feedback API can work; anybody may ask."""

from __future__ import annotations

import asyncio
from typing import Literal

import asyncpg
from fastapi import APIRouter, Response
from pydantic import BaseModel

from include.flywheel.errors import ConfigError
from include.flywheel.feedback.migrate import migrations
from include.flywheel.feedback.pool import AWAY
from include.web.feedback.opening import Feedback

_SECONDS = 2.0


class FeedbackHealth(BaseModel):
    """The database answers, and has this program's schema."""

    status: Literal["healthy", "unhealthy"]
    database: str


def build_health(feedback: Feedback, path: str) -> APIRouter:
    """The endpoint: 200, or 503 with the reason."""
    router = APIRouter(tags=["feedback"])
    wanted = len(migrations())

    @router.get(path, response_model=FeedbackHealth, responses={503: {"model": FeedbackHealth}})
    async def health(response: Response) -> FeedbackHealth:
        """Whether the feedback database answers."""
        said = await _database(feedback, wanted)
        if said != "connected":
            response.status_code = 503
        return FeedbackHealth(status="healthy" if said == "connected" else "unhealthy", database=said)

    return router


async def _database(feedback: Feedback, wanted: int) -> str:
    try:
        async with asyncio.timeout(_SECONDS):
            applied = await (await feedback.open()).ping()
    except TimeoutError:
        return f"does not answer within {_SECONDS:g} s"
    except asyncpg.UndefinedTableError:
        applied = 0
    except (*AWAY, ConfigError) as error:
        return f"away ({type(error).__name__})"
    if applied < wanted:
        return f"{applied} of {wanted} migrations: run python -m include.cli.feedback migrate"
    return "connected"

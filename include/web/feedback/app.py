"""The feedback API as an application of its own: `python -m include.web.feedback`, or any ASGI server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from include.web import errors
from include.web.feedback.health import build_health
from include.web.feedback.keys import ApiKeys, Rate, on_loopback
from include.web.feedback.opening import Feedback
from include.web.feedback.router import build_router

_TITLE, _VERSION = "Feedback", "1"
ENDPOINTS = {
    "submit": "POST /v1/feedback",
    "read": "GET /v1/feedback/{feedback_id}",
    "update": "PUT /v1/feedback/{feedback_id}",
    "delete": "DELETE /v1/feedback/{feedback_id}",
    "erase a user": "DELETE /v1/feedback?user_id=",
    "accuracy": "GET /v1/feedback/accuracy",
    "stats": "GET /v1/feedback/stats",
    "export": "POST /v1/feedback/export/finetuning",
    "health": "GET /health",
}


def create_app(
    feedback: Feedback | None = None, *, rate: Rate | None = None, needs_key: bool = True
) -> FastAPI:
    """The application. `needs_key=False`: callers of this machine only, none of them asked."""
    opened = feedback or Feedback()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with opened.serving():
            yield

    app = FastAPI(
        title=_TITLE,
        version=_VERSION,
        description="Thumbs up and thumbs down on answers of models, counted and exported as training data.",
        lifespan=lifespan,
        redirect_slashes=False,
    )
    errors.add_handlers(app)
    identify = ApiKeys(opened, rate).identify if needs_key else on_loopback
    app.include_router(build_router(identify, opened))
    app.include_router(build_health(opened, "/health"))

    @app.get("/")
    async def root() -> dict[str, object]:
        """What is here."""
        return {"service": _TITLE, "version": _VERSION, "endpoints": ENDPOINTS, "documentation": "/docs"}

    return app

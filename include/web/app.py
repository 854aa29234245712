"""Our REST application: what serves `/api/jobs` and its neighbours, documented in OpenAPI."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, JSONResponse

from include.web import errors, health, metrics, nims, workloads
from include.web.dispatch import MOUNT
from include.web.feedback.mounted import feedback_routers
from include.web.health import HealthCache
from include.web.jobs.router import router as jobs
from include.web.metrics import Measured, RequestFigures

_TITLE, _VERSION = "Model flywheel", "1"
_DESCRIPTION = """Turns production traffic into cheaper models, run by run.

Log in with `POST /auth/token` (`username`, `password`) and send the token as `Authorization: Bearer TOKEN`.
What you may do with a workload is what you may do with the runs of its DAG in Airflow; runs that you may not
see do not exist for you. Feedback takes what its export's DAG asks for. Every refusal is `{"detail": "..."}`.
"""
_TAGS = [
    {"name": "jobs", "description": "Runs: start, watch, cancel, retry, delete."},
    {"name": "nims", "description": "The candidates that runs may name, and their administration."},
    {"name": "workloads", "description": "What the wheel turns for."},
    {"name": "feedback", "description": "Users' judgements: submit, count, export."},
    {"name": "health", "description": "Whether the wheel can turn, and figures for monitoring."},
]


def application() -> FastAPI:
    """The application, to be mounted in Airflow's API server."""
    app = FastAPI(
        title=_TITLE,
        version=_VERSION,
        description=_DESCRIPTION,
        openapi_tags=_TAGS,
        # Served below, with the address of the server that they are asked from.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.health = HealthCache()
    app.state.figures = RequestFigures()
    app.add_middleware(Measured, figures=app.state.figures)
    errors.add_handlers(app)
    for router in (jobs, nims.router, workloads.router, health.router, metrics.router, *feedback_routers()):
        app.include_router(router)
    _document(app)
    return app


def openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of the application, made once."""
    if app.openapi_schema is None:
        app.openapi_schema = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            tags=app.openapi_tags,
            routes=app.routes,
        )
    return app.openapi_schema


def _document(app: FastAPI) -> None:
    """`/flywheel/openapi.json` and `/flywheel/docs`. Public like Airflow's own: they hold no data."""

    @app.get("/openapi.json", include_in_schema=False)
    def read_openapi(request: Request) -> JSONResponse:
        # Paths are those at the root of the server, which a proxy may have put below a prefix.
        root = request.scope.get("root_path", "").removesuffix(MOUNT)
        return JSONResponse(openapi(app) | {"servers": [{"url": root or "/"}]})

    @app.get("/docs", include_in_schema=False)
    def read_docs() -> HTMLResponse:
        # Relative, so that any prefix is kept.
        return get_swagger_ui_html(openapi_url="openapi.json", title=_TITLE)

"""Every error leaves in one shape, `{"detail": text}`, and says nothing that is secret."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pymongo.errors import PyMongoError
from starlette.exceptions import HTTPException

from include.flywheel.errors import ConfigError, FlywheelError, StateError

log = logging.getLogger(__name__)

_SHOWN = 120


def add_handlers(app: FastAPI) -> None:
    """Have the application answer errors in that shape."""
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(PyMongoError, _store_away)
    app.add_exception_handler(FlywheelError, _domain)
    app.add_exception_handler(Exception, _unexpected)


def _answer(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    # What was sent may hold halves of characters, which no answer can.
    text = detail.encode("utf-8", "backslashreplace").decode()
    return JSONResponse({"detail": text}, status_code=status, headers=headers)


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - what the handler is registered for
    if isinstance(error.__cause__, UnicodeDecodeError | RecursionError):
        # Of a body that was not read as JSON; the framework has another status for that.
        return _answer(422, "the body is not JSON: it is not UTF-8, or too deep; send a JSON object")
    return _answer(error.status_code, str(error.detail), dict(error.headers or {}))


async def _not_understood(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    faults = []
    for fault in error.errors():
        place, *path = (str(part) for part in fault["loc"])
        field = ".".join(path) or place
        if fault["type"] == "missing":
            faults.append(f"`{field}` is missing: add it")
        elif fault["type"] == "extra_forbidden":
            faults.append(f"`{field}`: unknown: remove it or correct its spelling")
        elif fault["type"] == "json_invalid":
            faults.append(f"the body is not JSON: {fault['ctx']['error']}")
        else:
            faults.append(f"`{field}` = {repr(fault['input'])[:_SHOWN]}: {fault['msg']}")
    return _answer(422, "; ".join(faults))


async def _store_away(_: Request, error: Exception) -> JSONResponse:
    log.error("the run documents cannot be reached: %s", error)
    return _answer(503, f"the run documents cannot be reached ({type(error).__name__}); try again later")


async def _domain(_: Request, error: Exception) -> JSONResponse:
    """What no endpoint took for the caller's fault: the installation's."""
    if isinstance(error, StateError):
        return _answer(409, str(error))
    log.error("%s", error)
    if isinstance(error, ConfigError):
        return _answer(503, f"this installation is not fully configured: {error}")
    return _answer(503, str(error))


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.exception("%s %s failed", request.method, request.url.path, exc_info=error)
    return _answer(500, f"unexpected {type(error).__name__}: see the API server's log")

"""Errors of the domain and of the database as answers, wherever the endpoints are served."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any

import psycopg2
from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute

from include.flywheel.errors import ConfigError, ExportRefused, FeedbackError, FeedbackNotFound, KeyReused
from include.flywheel.feedback.pool import AWAY

log = logging.getLogger(__name__)

_AWAY = (*AWAY, psycopg2.Error)


class FeedbackRoute(APIRoute):
    """A route that raises HTTPException for what its endpoint raises."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, guarded."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                return await handle(request)
            except (FeedbackError, ConfigError) as error:
                raise _refusal(error) from None
            except _AWAY as error:
                log.error("the feedback database: %s: %s", type(error).__name__, error)  # noqa: TRY400
                raise away(error) from None

        return guarded


def _refusal(error: FeedbackError | ConfigError) -> HTTPException:
    if isinstance(error, FeedbackNotFound):
        return HTTPException(404, str(error))
    if isinstance(error, KeyReused):
        return HTTPException(409, str(error))
    if isinstance(error, FeedbackError | ExportRefused):
        return HTTPException(422, str(error))
    log.error("%s", error)
    return HTTPException(503, f"this installation is not fully configured: {error}")


def away(error: BaseException) -> HTTPException:
    """503 for a database that does not answer; says nothing of where it is."""
    return HTTPException(
        503,
        f"the feedback database does not answer ({type(error).__name__}): try again, a submission with the "
        "same `Idempotency-Key`",
        {"Retry-After": "1"},
    )

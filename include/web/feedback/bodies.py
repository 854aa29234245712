"""Bodies of requests: bounded, and validated from their bytes."""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)

MAX_BODY_BYTES = 1_048_576


async def read_body(request: Request, model: type[M]) -> M:
    """The body as `model`. 413 where it is larger than MAX_BODY_BYTES, 422 where it does not fit."""
    content = await _bounded(request)
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise refused("body", error) from None


def refused(place: str, error: ValidationError) -> RequestValidationError:
    """The faults in FastAPI's form, found in the body or the query."""
    found: list[dict[str, Any]] = [
        {**fault, "loc": (place, *fault["loc"])} for fault in error.errors(include_url=False)
    ]
    return RequestValidationError(found)


async def _bounded(request: Request) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > MAX_BODY_BYTES:
        raise _too_large()
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise _too_large()
        parts.append(part)
    return b"".join(parts)


def _too_large() -> HTTPException:
    return HTTPException(
        413, f"the body has more than {MAX_BODY_BYTES:,} bytes: shorten the texts", {"Connection": "close"}
    )

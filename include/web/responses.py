"""What refusals look like, and how they are documented: `{"detail": "what, why, and what to do"}`."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class Problem(BaseModel):
    """Why a request was refused."""

    detail: str = Field(
        description="What is wrong, with the value and the remedy.",
        examples=["no run 0a0a0a0a0a0a0a0a0a0a0a0a: it does not exist, or you may not see it"],
    )


_WORDS = {
    400: "It cannot be done with this run as it is, or the id is malformed.",
    401: "No identity, or a token that is not valid any more.",
    403: "Known, and not allowed.",
    404: "There is no such thing, or the caller may not know of it.",
    409: "It contradicts what was asked or done before.",
    422: "The request is not understood; `detail` names field, value and remedy.",
    503: "Something that is needed does not answer; try again later.",
}


def refusals(*statuses: int, **words: str) -> dict[int | str, dict[str, Any]]:
    """The documented error answers of an endpoint, beside 401 and 503, which all have.

    `_404="…"` says what the status means here.
    """
    own = {int(key.lstrip("_")): text for key, text in words.items()}
    said = _WORDS | own
    return {
        status: {"model": Problem, "description": said[status]}
        for status in sorted({401, 503, *statuses, *own})
    }

"""Errors of the stand-in.

NemoLocalError
├── ApiError            an answer with a status and a detail
│   ├── NotFound        404
│   ├── Conflict        409, never worth a retry
│   ├── Invalid         422
│   ├── ModelNotServed  404 in the words of an OpenAI-compatible server
│   └── RequestRefused  400 in the same words: the model cannot take this request
├── DuplicateRecord     the store holds that name already
├── FolderInUse         another server works on that data folder
├── JobFailed           a job ends as failed, with the reason that its status shows
├── JobCancelled        a job was asked to stop
└── ServerStopping      the server is going down; the job goes on after the restart
"""

from __future__ import annotations

from typing import Any


class NemoLocalError(Exception):
    """Root of the stand-in's errors."""


class ApiError(NemoLocalError):
    """An HTTP answer of a service: ``{"detail": detail}`` with this status."""

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        return {"detail": self.detail}


class NotFound(ApiError):
    """The thing that the path or the body names does not exist."""

    def __init__(self, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(404, detail, headers)


class Conflict(ApiError):
    """The name is taken. Clients that retry 409 are told not to."""

    def __init__(self, detail: str) -> None:
        super().__init__(409, detail, {"x-should-retry": "false"})


class Invalid(ApiError):
    """The body is well formed but says something that cannot be done."""

    def __init__(self, detail: str, *, field: str) -> None:
        super().__init__(422, detail)
        self.field = field

    def body(self) -> dict[str, Any]:
        loc = ["body", *self.field.split(".")]
        return {"detail": [{"loc": loc, "msg": self.detail, "type": "value_error"}]}


class ModelNotServed(ApiError):
    """The NIM proxy serves no such model now."""

    def __init__(self, model: str, served: list[str]) -> None:
        shown = ", ".join(served) or "none"
        message = (
            f"The model `{model}` does not exist. Served now: {shown}. "
            "Deploy its base NIM and wait until GET /v1/models lists it."
        )
        super().__init__(404, message)
        self.model = model

    def body(self) -> dict[str, Any]:
        return _openai_error(self, "NotFoundError", None)


class RequestRefused(ApiError):
    """The request is well formed, but that model cannot take it; `param` names the member at fault."""

    def __init__(self, detail: str, *, param: str) -> None:
        super().__init__(400, detail)
        self.param = param

    def body(self) -> dict[str, Any]:
        return _openai_error(self, "BadRequestError", self.param)


def _openai_error(error: ApiError, kind: str, param: str | None) -> dict[str, Any]:
    """The error alone and under ``error``: clients read the one or the other."""
    told = {"message": error.detail, "type": kind, "param": param, "code": error.status}
    return {"object": "error", **told, "error": told}


class DuplicateRecord(NemoLocalError):
    """A record of that kind, namespace and name is stored already."""


class FolderInUse(NemoLocalError):
    """Another server works on that data folder."""


class JobFailed(NemoLocalError):
    """Ends a job as failed; the text is the reason that its status shows."""


class JobCancelled(NemoLocalError):
    """Raised inside a job's thread once somebody asked to cancel it."""


class ServerStopping(NemoLocalError):
    """Raised inside a job's thread when the server shuts down: its state stays as it is."""

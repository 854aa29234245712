"""The endpoints of feedback. Served alone (`app.py`) or inside Airflow (`mounted.py`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from pydantic import BaseModel, ValidationError

from include.flywheel.errors import FeedbackNotFound
from include.flywheel.feedback.models import (
    Accuracy,
    Erasure,
    FeedbackCreate,
    FeedbackStored,
    FeedbackUpdate,
    Receipt,
    Selection,
    Stats,
)
from include.web.feedback import exporting
from include.web.feedback.bodies import MAX_BODY_BYTES, read_body, refused
from include.web.feedback.callers import FeedbackCaller
from include.web.feedback.exporting import ExportAnswer, ExportRequest
from include.web.feedback.opening import Feedback
from include.web.feedback.route import FeedbackRoute
from include.web.responses import refusals

MAX_DAYS = 3_650
_KEY_CHARS = 200

_Filter = Annotated[str | None, Query(max_length=200)]
_Days = Annotated[int, Query(ge=1, le=MAX_DAYS, description="Whole days in UTC, the first one included.")]
_User = Annotated[str, Query(min_length=1, max_length=256, description="Whose feedback is erased.")]
# Read by hand, as the body is from its bytes: on the way of every submission each parameter costs.
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": _KEY_CHARS},
    "description": "The same key stores one row, however often it is sent.",
}
_SAID: dict[str, str] = {"_413": f"The body has more than {MAX_BODY_BYTES:,} bytes.", "_429": "Too fast."}


def build_router(identify: Callable[..., Any], feedback: Feedback) -> APIRouter:
    """The seven endpoints, and erasing a user.

    :param identify: a dependency of FastAPI that gives a FeedbackCaller or raises HTTPException.
    """
    router = APIRouter(prefix="/v1/feedback", tags=["feedback"], route_class=FeedbackRoute)
    who = Depends(identify)
    _add_rows(router, who, feedback)
    _add_counts(router, who, feedback)
    _add_single(router, who, feedback)
    return router


def _documented(model: type[BaseModel]) -> dict[str, Any]:
    """The body in OpenAPI: it is read from bytes, which FastAPI cannot see."""
    schema = _inline(model.model_json_schema())
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _inline(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without references: its definitions are small and none refers to itself."""
    definitions = schema.pop("$defs", {})

    def replace(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return replace(definitions[value["$ref"].rpartition("/")[2]])
            return {key: replace(one) for key, one in value.items()}
        return [replace(one) for one in value] if isinstance(value, list) else value

    found: dict[str, Any] = replace(schema)
    return found


def _json(content: Any) -> Response:
    return Response(orjson.dumps(content, default=_plain), media_type="application/json")


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.__dict__
    if isinstance(value, UUID):
        # asyncpg's own kind, which orjson does not know.
        return str(value)
    raise TypeError(type(value).__name__)


def _add_rows(router: APIRouter, who: Any, feedback: Feedback) -> None:
    @router.post(
        "",
        response_model=Receipt,
        responses=refusals(403, 409, 413, 422, 429, **_SAID, _409="The key came with another body before."),
        openapi_extra=_documented(FeedbackCreate) | {"parameters": [_IDEMPOTENCY_KEY]},
    )
    async def submit(request: Request, caller: FeedbackCaller = who) -> Response:
        """Submit a judgement: 1 thumbs up, -1 thumbs down."""
        await caller.require("write")
        body = await read_body(request, FeedbackCreate)
        project = caller.project_of(body.project)
        if project != body.project:
            body = body.model_copy(update={"project": project})
        repository = feedback.repository or await feedback.open()
        key = _checked_key(request.headers.get("idempotency-key"))
        receipt, is_new = await repository.submit(body, key=key, scope=caller.scope)
        answer = _json(receipt)
        if not is_new:
            answer.headers["Idempotent-Replayed"] = "true"
        return answer

    @router.delete("", response_model=Erasure, responses=refusals(403, 422, 429, **_SAID))
    async def erase(user_id: _User, caller: FeedbackCaller = who) -> Response:
        """Erase all that a user submitted, and name the files that still hold some of it."""
        await caller.require("delete")
        if "\x00" in user_id:
            raise HTTPException(422, "`user_id` contains the character NUL: no user has such an id")
        return _json(await (await feedback.open()).erase_user(user_id, caller.project))


def _add_counts(router: APIRouter, who: Any, feedback: Feedback) -> None:
    @router.get("/accuracy", response_model=list[Accuracy], responses=refusals(403, 422, 429, **_SAID))
    async def accuracy(
        caller: FeedbackCaller = who, model: _Filter = None, intent: _Filter = None, project: _Filter = None
    ) -> Response:
        """The share of thumbs-up by model, intent and project, of all rows, as it is now."""
        await caller.require("read")
        selection = _selection(caller, model, intent, project)
        return _json(await (await feedback.open()).accuracy(selection))

    @router.get("/stats", response_model=Stats, responses=refusals(403, 422, 429, **_SAID))
    async def stats(
        caller: FeedbackCaller = who,
        model: _Filter = None,
        intent: _Filter = None,
        project: _Filter = None,
        days: _Days = 7,
    ) -> Response:
        """Counts since `days` days ago. Users and sessions are exact."""
        await caller.require("read")
        selection = _selection(caller, model, intent, project)
        return _json(await (await feedback.open()).stats(selection, days))

    @router.post(
        "/export/finetuning",
        response_model=ExportAnswer,
        responses=refusals(403, 413, 422, 429, **_SAID),
        openapi_extra=_documented(ExportRequest),
    )
    async def export(request: Request, caller: FeedbackCaller = who) -> Response:
        """Write training data into the export root."""
        await caller.require("export")
        asked = await read_body(request, ExportRequest)
        place = await feedback.place()
        return _json(await exporting.export(place, asked, caller, feedback.export_turn))


def _add_single(router: APIRouter, who: Any, feedback: Feedback) -> None:
    @router.get(
        "/{feedback_id}", response_model=FeedbackStored, responses=refusals(403, 404, 422, 429, **_SAID)
    )
    async def read(feedback_id: str, caller: FeedbackCaller = who) -> Response:
        """One judgement."""
        await caller.require("read")
        return _json(await (await feedback.open()).get(_uuid(feedback_id), caller.project))

    @router.put(
        "/{feedback_id}",
        response_model=Receipt,
        responses=refusals(403, 404, 413, 422, 429, **_SAID),
        openapi_extra=_documented(FeedbackUpdate),
    )
    async def update(request: Request, feedback_id: str, caller: FeedbackCaller = who) -> Response:
        """Change what is sent; `metadata` is merged, null empties a field."""
        await caller.require("write")
        found = _uuid(feedback_id)
        changes = await read_body(request, FeedbackUpdate)
        if "project" in changes.model_fields_set and caller.project is not None:
            caller.project_of(changes.project or "")
        return _json(await (await feedback.open()).update(found, changes, caller.project))

    @router.delete("/{feedback_id}", responses=refusals(403, 404, 422, 429, **_SAID))
    async def delete(feedback_id: str, caller: FeedbackCaller = who) -> Response:
        """Delete one judgement: `{status, feedback_id}`."""
        await caller.require("delete")
        found = _uuid(feedback_id)
        await (await feedback.open()).delete(found, caller.project)
        return _json({"status": "success", "feedback_id": found})


def _selection(
    caller: FeedbackCaller, model: str | None, intent: str | None, project: str | None
) -> Selection:
    try:
        found = Selection(model=model, intent=intent, project=project)
    except ValidationError as error:
        raise refused("query", error) from None
    return found.model_copy(update={"project": caller.project_of(found.project)})


def _checked_key(key: str | None) -> str | None:
    """The key; 422 for one that no client means to send."""
    if key is None:
        return None
    if len(key) > _KEY_CHARS or not key.isascii() or not key.isprintable() or not key.strip():
        raise HTTPException(
            422, f"`Idempotency-Key` must be 1 to {_KEY_CHARS} printable characters of ASCII: send a UUID"
        )
    return key


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise FeedbackNotFound(f"no feedback {text[:80]!r}: its id is no UUID") from None

"""The NIM catalogue for administrators: see it, change an entry for the runs to come, take a change back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from include.flywheel.config.nim_views import NimView, known_fields, known_nim, nim_view, nim_views
from include.flywheel.config.nims import Nim, load_catalogue
from include.flywheel.config.overrides import CHANGEABLE, NimChanges, read_changes
from include.flywheel.errors import ConfigError, UnknownName
from include.stores.nims import open_nim_overrides
from include.web.access import CurrentCaller, CurrentOperator
from include.web.responses import refusals

_MAX_NAME = 200

router = APIRouter(prefix="/api/nims", tags=["nims"])

Name = Annotated[
    str,
    Path(max_length=_MAX_NAME, description="With its slash.", examples=["meta/llama-3.2-1b-instruct"]),
]


class NimChange(NimChanges):
    """The fields to change, and the version that the caller has seen. Other fields stay as they are."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"version": 0, "enabled": False}, {"version": 3, "gpus": 2}]}
    )

    version: int = Field(ge=0, description="`version` of the NIM as it was read; 0: never changed.")


class NimList(BaseModel):
    """The catalogue, in the file's order."""

    nims: list[NimView]


@router.get("", summary="The catalogue", responses=refusals())
def list_nims(_caller: CurrentCaller) -> NimList:
    """Every NIM: what the next run works with, what the file says, who changed what, what is not known."""
    return NimList(nims=nim_views(load_catalogue(), open_nim_overrides().all()))


@router.get("/{name:path}", summary="One NIM", responses=refusals(404, 422))
def get_nim(name: Name, _caller: CurrentCaller) -> NimView:
    """The same of one NIM, with its earlier versions."""
    nim = _known(name)
    return nim_view(nim, open_nim_overrides().find(name), history=True)


@router.put(
    "/{name:path}",
    summary="Change a NIM",
    responses=refusals(
        403,
        404,
        422,
        _400="The body is no text in UTF-8.",
        _409="Somebody else changed the NIM since that version.",
    ),
)
def change_nim(name: Name, change: NimChange, caller: CurrentOperator) -> NimView:
    """Change fields for the runs to come; a run that has begun keeps what it began with.

    Checked like the file. 409 where somebody else changed the NIM since `version`: read it again.
    """
    nim, overrides = _known(name), open_nim_overrides()
    said = change.model_dump(mode="json", include=change.model_fields_set - {"version"})
    with _unprocessable():
        override = overrides.change(nim, read_changes(said, name), version=change.version, by=caller.name)
    return nim_view(nim, override, history=True)


@router.delete(
    "/{name:path}/override",
    summary="Back to the file",
    responses=refusals(403, 404, 409, 422, _409="Somebody else changed the NIM since that version."),
)
def reset_nim(
    name: Name,
    caller: CurrentOperator,
    version: Annotated[int | None, Query(ge=0, description="The version that was seen; empty: any.")] = None,
    field: Annotated[
        list[str] | None, Query(description=f"Only these of: {', '.join(CHANGEABLE)}; empty: all.")
    ] = None,
) -> NimView:
    """Take changes back: the file holds again, for the runs to come. Safe to repeat."""
    nim = _known(name)
    with _unprocessable():
        fields = known_fields(field) if field else None
    override = open_nim_overrides().reset(name, by=caller.name, version=version, fields=fields)
    return nim_view(nim, override, history=True)


def _known(name: str) -> Nim:
    catalogue = load_catalogue()
    try:
        return known_nim(catalogue, name)
    except UnknownName as error:
        raise HTTPException(404, str(error)) from None


@contextmanager
def _unprocessable() -> Iterator[None]:
    """What the caller sent contradicts itself or the file, or says nothing."""
    try:
        yield
    except ConfigError as error:
        raise HTTPException(422, str(error)) from None

"""The four kinds of calls that all services have: read, create, change, remove."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

from include.nemo.call import Call, without_nones
from include.nemo.urls import Service

ModelT = TypeVar("ModelT", bound=BaseModel)


def read(service: Service, model: type[ModelT], name: str, where: str) -> Call[ModelT]:
    """GET `where`"""
    return Call(
        service=service,
        name=name,
        method="GET",
        path=where,
        parse=model.model_validate,
        safe_to_repeat=True,
    )


def create(
    service: Service, model: type[ModelT], name: str, where: str, fields: Mapping[str, Any]
) -> Call[ModelT]:
    """POST to `where` the fields that are set. Not safe to repeat: a second POST may make a second one."""
    return Call(
        service=service,
        name=name,
        method="POST",
        path=where,
        json=without_nones(fields),
        parse=model.model_validate,
    )


def change(
    service: Service, model: type[ModelT], name: str, where: str, fields: Mapping[str, Any]
) -> Call[ModelT]:
    """PATCH `where`: only the given fields change. Safe to repeat: it sets values, it adds nothing."""
    return Call(
        service=service,
        name=name,
        method="PATCH",
        path=where,
        json=dict(fields),
        parse=model.model_validate,
        safe_to_repeat=True,
    )


def remove(service: Service, name: str, where: str) -> Call[None]:
    """DELETE `where`. A second try of one that worked answers NotFound."""
    return Call(
        service=service,
        name=name,
        method="DELETE",
        path=where,
        parse=lambda _: None,
        safe_to_repeat=True,
    )


def act(service: Service, name: str, where: str) -> Call[None]:
    """POST `where` without a body, for what may be asked twice: to cancel, for example."""
    return Call(
        service=service,
        name=name,
        method="POST",
        path=where,
        parse=lambda _: None,
        safe_to_repeat=True,
    )

"""One call as a value: what the synchronous and the asynchronous client both send."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from include.nemo.urls import Service

T = TypeVar("T")
ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[T]):
    """A request and how to read its answer.

    `safe_to_repeat` is True where a second try cannot do anything twice. `parse` gets the decoded
    JSON body (None if the body is empty) and may raise ValueError, KeyError or TypeError for an answer
    that does not fit. `timeout_seconds` replaces the client's own limit.
    """

    service: Service
    name: str
    method: str
    path: str
    parse: Callable[[Any], T]
    params: Mapping[str, str | int] = field(default_factory=dict)
    json: Any = None
    form: Mapping[str, str] | None = None
    safe_to_repeat: bool = False
    timeout_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A GET whose body is a file: streamed to disk, never held in memory.

    `is_whole` tells from the file on disk whether it is what it should be.
    """

    service: Service
    name: str
    path: str
    params: Mapping[str, str | int] = field(default_factory=dict)
    timeout_seconds: float | None = None
    is_whole: Callable[[Path], bool] = lambda _: True


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream(Generic[T]):
    """A POST whose answer comes in pieces, as server-sent events. `parse` is as in `Call`, for each piece.

    `timeout_seconds` bounds the wait for the next piece.
    """

    service: Service
    name: str
    path: str
    parse: Callable[[Any], T]
    params: Mapping[str, str | int] = field(default_factory=dict)
    json: Any = None
    timeout_seconds: float | None = None


Sent = Call[Any] | Download | Stream[Any]
"""Whatever a client sends."""


@dataclass(frozen=True, slots=True)
class Listing(Generic[ItemT]):
    """A paged list. `page(n)` is the call for page n (from 1); `keep` drops what a filter of the
    service may not know, so that callers never depend on server-side filters."""

    page: Callable[[int], Call[list[ItemT]]]
    keep: Callable[[ItemT], bool] = lambda _: True


def path(*segments: str) -> str:
    """`/v1/models/ns/name@cust-1` from its segments; `@`, `:` and `+` stay as the services write them.

    Raises ValueError for an empty segment, which would turn an item's path into its collection's.
    """
    for segment in segments:
        if not segment or segment in (".", ".."):
            raise ValueError(f"a name in the path {segments!r} is empty or relative")
    return "/" + "/".join(quote(segment, safe="@:+") for segment in segments)


def split_name(qualified: str) -> tuple[str, str]:
    """`("ns", "name")` of `"ns/name"`. Raises ValueError for anything else."""
    namespace, slash, name = qualified.partition("/")
    if not (slash and namespace and name) or "/" in name:
        raise ValueError(f"{qualified!r} is not of the form namespace/name")
    return namespace, name


def without_nones(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are set: the services reject some nulls that they would fill in themselves."""
    return {key: value for key, value in fields.items() if value is not None}

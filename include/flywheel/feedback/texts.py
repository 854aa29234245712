"""What a value of feedback may be, so that PostgreSQL and JSON can always hold it."""

from __future__ import annotations

import math
from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, BeforeValidator, Field

TEXT_CHARS = 200_000
"""Longest query, response or expected answer, characters."""
METADATA_BYTES = 16_384
"""Largest metadata of a row, bytes of JSON."""
METADATA_DEPTH = 10
"""Deepest metadata, levels; the object itself is the first."""
_LARGEST_INTEGER = 2**63 - 1


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("contains the character NUL, which PostgreSQL cannot store; remove it")
    return text


def _not_blank(text: str) -> str:
    if not text or text.isspace():
        raise ValueError("is empty; send the text that was judged")
    return text


def empty_is_none(value: Any) -> Any:
    """None for an empty text, which is how forms send what was not filled in."""
    return None if value == "" else value


def refuse_truth(value: Any) -> Any:
    """The value. Raises ValueError for true and false, which Python takes for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("is true or false; send 1 for thumbs up or -1 for thumbs down")  # noqa: TRY004
    return value


def _none_is_empty_list(value: Any) -> Any:
    return [] if value is None else value


def _none_is_empty_object(value: Any) -> Any:
    return {} if value is None else value


def _none_is_zero(value: Any) -> Any:
    return 0 if value is None else value


def check_metadata(value: dict[str, Any]) -> dict[str, Any]:
    """The metadata. Raises ValueError with what cannot be stored, and where."""
    _check(value, "metadata", 1)
    size = len(orjson.dumps(value))
    if size > METADATA_BYTES:
        raise ValueError(f"has {size} bytes of JSON; {METADATA_BYTES} are allowed: send less")
    return value


def _check(value: Any, place: str, depth: int) -> None:
    if isinstance(value, str):
        if "\x00" in value:
            raise ValueError(f"{place} contains the character NUL, which PostgreSQL cannot store; remove it")
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int):
        if abs(value) > _LARGEST_INTEGER:
            raise ValueError(f"{place} is an integer of more than 64 bits; send it as a text")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{place} = {value} is no number of JSON; leave it out or send a text")
    elif isinstance(value, dict | list):
        if depth > METADATA_DEPTH:
            raise ValueError(f"{place[:100]} is deeper than {METADATA_DEPTH} levels; flatten it")
        _check_inside(value, place, depth)
    else:
        raise ValueError(f"{place} is a {type(value).__name__}, which JSON does not know")


def _check_inside(value: dict[str, Any] | list[Any], place: str, depth: int) -> None:
    if isinstance(value, list):
        for number, one in enumerate(value):
            _check(one, f"{place}[{number}]", depth + 1)
        return
    for key, one in value.items():
        _check(key, f"a key of {place}", depth)
        _check(one, f"{place}.{key[:50]}", depth + 1)


LongText = Annotated[str, Field(max_length=TEXT_CHARS), AfterValidator(_storable), AfterValidator(_not_blank)]
OptionalText = Annotated[
    Annotated[str, Field(max_length=TEXT_CHARS), AfterValidator(_storable)] | None,
    BeforeValidator(empty_is_none),
]
Model = Annotated[str, Field(max_length=200), AfterValidator(_storable), AfterValidator(_not_blank)]
AnyModel = Annotated[Model | None, BeforeValidator(empty_is_none)]
"""A model to look for; None: any."""
Intent = Annotated[
    Annotated[str, Field(max_length=100), AfterValidator(_storable)] | None, BeforeValidator(empty_is_none)
]
Project = Annotated[
    Annotated[str, Field(max_length=200), AfterValidator(_storable)] | None, BeforeValidator(empty_is_none)
]
Reason = Annotated[
    Annotated[str, Field(max_length=5_000), AfterValidator(_storable)] | None,
    BeforeValidator(empty_is_none),
]
Identifier = Annotated[
    Annotated[str, Field(max_length=256), AfterValidator(_storable)] | None, BeforeValidator(empty_is_none)
]
ShortIdentifier = Annotated[
    Annotated[str, Field(max_length=128), AfterValidator(_storable)] | None, BeforeValidator(empty_is_none)
]
Memory = Annotated[int, Field(ge=0, le=_LARGEST_INTEGER, description="bytes"), BeforeValidator(_none_is_zero)]
Tools = Annotated[
    list[Annotated[str, Field(max_length=200), AfterValidator(_storable)]],
    Field(max_length=100),
    BeforeValidator(_none_is_empty_list),
]
Metadata = Annotated[dict[str, Any], AfterValidator(check_metadata), BeforeValidator(_none_is_empty_object)]

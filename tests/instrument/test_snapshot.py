"""Snapshots: equal to what was given as plain JSON, and never the same objects."""

from __future__ import annotations

import json
from collections import deque
from datetime import UTC, datetime
from enum import Enum, StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from include.instrument.snapshot import NotSerialisable, Snapshot

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def containers(value: Any) -> list[int]:
    """The identities of every dict and list in `value`."""
    if isinstance(value, dict):
        return [id(value), *(one for inner in value.values() for one in containers(inner))]
    return (
        [id(value), *(one for inner in value for one in containers(inner))] if isinstance(value, list) else []
    )


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_a_snapshot_is_equal_and_shares_no_structure(value: Any) -> None:
    copying = Snapshot()
    copied = copying.copy(value)
    assert copied == value
    assert not set(containers(copied)) & set(containers(value))
    assert copying.size_bytes >= len(json.dumps(value, ensure_ascii=False)) / 4


class Colour(StrEnum):
    RED = "red"


class Plain(Enum):
    ONE = 1


class Model(BaseModel):
    kind: str = "unset"
    schema_: dict[str, int] = Field(alias="schema")


class Old:
    """A model whose `model_dump` takes no arguments."""

    def model_dump(self) -> dict[str, Any]:
        return {"a": 1}


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Colour.RED, "red"),
        (Plain.ONE, 1),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (deque([1, 2]), [1, 2]),
        ({1: "a"}, {"1": "a"}),
        (Model(schema={"a": 1}), {"schema": {"a": 1}}),
        (Old(), {"a": 1}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_else_has_a_json_form(value: Any, plain: Any) -> None:
    copied = Snapshot().copy(value)
    assert copied == plain
    assert type(copied) is type(plain)


@pytest.mark.parametrize(
    "value",
    [b"", bytearray(), iter([1]), float("inf"), object(), Model],
    ids=lambda value: type(value).__name__,
)
def test_what_has_none_is_named_by_its_type(value: Any) -> None:
    with pytest.raises(NotSerialisable):
        Snapshot().copy({"messages": [value]})

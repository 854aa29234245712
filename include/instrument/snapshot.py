"""A copy of a request or response as plain JSON values, taken while the caller waits.

Texts are shared, only the structure is copied: that costs far less than encoding it, and what the application
changes afterwards does not change the record.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from types import SimpleNamespace
from typing import Any
from uuid import UUID

_MAX_DEPTH = 100
_LEAF_BYTES = 8
_LEFT_OUT = {"NotGiven", "Omit"}
"""Class names of the marks that OpenAI's SDK reads as: this argument was not given."""


class NotSerialisable(Exception):
    """A value has no JSON form. Names its type, never its content."""


class Snapshot:
    """Copies values and adds up about how many bytes they have in `size_bytes`."""

    def __init__(self) -> None:
        self.size_bytes = 0

    def copy(self, value: Any, depth: int = 0) -> Any:
        """`value` as dict, list, str, int, float, bool or None. Raises NotSerialisable."""
        kind = type(value)
        if kind is str:
            self.size_bytes += len(value) + _LEAF_BYTES
            return value
        if value is None or kind is int or kind is bool:
            self.size_bytes += _LEAF_BYTES
            return value
        if depth > _MAX_DEPTH:
            raise NotSerialisable(f"nested deeper than {_MAX_DEPTH}")
        self.size_bytes += _LEAF_BYTES
        if kind is dict:
            return self._mapping(value, depth)
        if kind is list:
            return [self.copy(one, depth + 1) for one in value]
        return self._other(value, depth)

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        copied = {}
        for key, one in value.items():
            if type(one).__name__ in _LEFT_OUT:
                continue
            name = key if type(key) is str else str(key)
            self.size_bytes += len(name) + _LEAF_BYTES
            copied[name] = self.copy(one, depth + 1)
        return copied

    def _other(self, value: Any, depth: int) -> Any:
        plain: Any
        if isinstance(value, float):
            if not math.isfinite(value):
                raise NotSerialisable("a number that is not finite")
            self.size_bytes += 2 * _LEAF_BYTES
            return float(value)
        if isinstance(value, type | bytes | bytearray | memoryview):
            raise NotSerialisable(_type_name(value))
        if isinstance(value, Enum):
            plain = value.value
        elif isinstance(value, str):
            plain = str.__str__(value)
        elif isinstance(value, int):
            plain = int(value)
        elif isinstance(value, date):
            plain = value.isoformat()
        elif isinstance(value, UUID):
            plain = str(value)
        else:
            return self._structure(value, depth)
        return self.copy(plain, depth + 1)

    def _structure(self, value: Any, depth: int) -> Any:
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if hasattr(value, "model_dump"):
            return self.copy(_dumped(value), depth + 1)
        if is_dataclass(value):
            return self._mapping({field.name: getattr(value, field.name) for field in fields(value)}, depth)
        if isinstance(value, SimpleNamespace):
            return self._mapping(vars(value), depth)
        # Collections alone: an iterator would be used up under the application's feet.
        if isinstance(value, Collection):
            return [self.copy(one, depth + 1) for one in value]
        raise NotSerialisable(_type_name(value))


def _dumped(model: Any) -> Any:
    """What a pydantic model looks like on the wire: its own names, nothing that was never set."""
    try:
        return model.model_dump(mode="json", by_alias=True, exclude_unset=True, warnings=False)
    except TypeError:
        return model.model_dump()


def _type_name(value: Any) -> str:
    kind = value if isinstance(value, type) else type(value)
    return f"{kind.__module__}.{kind.__qualname__}"

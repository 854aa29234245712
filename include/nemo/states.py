"""The state of a remote job or deployment."""

from __future__ import annotations

from typing import Any

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

_SUCCEEDED = frozenset({"completed", "ready"})
_ENDED_BADLY = frozenset({"failed", "cancelled", "deleted", "delete_failed"})
_GOING = frozenset({"created", "pending", "downloading", "running", "cancelling", "deleting", "unknown"})


class JobState(str):
    """A status word of the wire, kept as it came.

    A word that nobody knows is "still going": `is_known` is False and `is_terminal` is False, so that
    a newer service does not fail a job that is well.
    """

    __slots__ = ()

    @property
    def is_known(self) -> bool:
        return self in _SUCCEEDED or self in _ENDED_BADLY or self in _GOING

    @property
    def is_terminal(self) -> bool:
        return self in _SUCCEEDED or self in _ENDED_BADLY

    @property
    def ok(self) -> bool:
        """Ended well: `completed` for a job, `ready` for a deployment."""
        return self in _SUCCEEDED

    @classmethod
    def of(cls, word: object) -> JobState:
        """The state of a word of the wire; null and the empty word are `unknown`."""
        return cls(str(word).strip().lower()) if word else cls("unknown")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        text_or_null = core_schema.nullable_schema(core_schema.str_schema())
        return core_schema.no_info_after_validator_function(
            cls.of, text_or_null, serialization=core_schema.to_string_ser_schema()
        )

"""What an administrator says of a NIM over the catalogue's file, and the catalogue that results."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError, field_validator

from include.flywheel.config.base import StrictModel, explain, validate
from include.flywheel.config.nims import Customization, Nim
from include.flywheel.config.prices import Price
from include.flywheel.errors import ConfigError

SCHEMA_VERSION = 1
MAX_HISTORY = 50
"""Earlier values that are kept of each NIM."""

# Whose a fact is stands in `sources` of the file; a value of an administrator's is nobody's there.
_FACTS = {
    "image_tag": ("image",),
    "gpus": ("gpus",),
    "context_tokens": ("context_tokens",),
    "customization": ("customization", "max_seq_length"),
}


class NimChanges(StrictModel):
    """Fields of a NIM that an administrator may set. What is absent is the file's."""

    enabled: bool | None = Field(default=None, description="false: no new run uses it.")
    image_tag: str | None = Field(default=None, min_length=1, max_length=128)
    gpus: int | None = Field(default=None, ge=1, le=1024, description="GPUs that a deployment holds.")
    context_tokens: int | None = Field(
        default=None, ge=1, le=100_000_000, description="Prompt and answer together."
    )
    customization: Customization | None = Field(
        default=None, description="null: evaluated as it is and with examples, never customized."
    )
    price_per_million_tokens: Price | None = None

    @field_validator("enabled", "image_tag", "gpus", "context_tokens", "price_per_million_tokens")
    @classmethod
    def _no_null(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("null is no value of it: reset the field to get the file's back")
        return value

    def said(self) -> dict[str, Any]:
        """Only the fields that were given, as JSON values."""
        return self.model_dump(mode="json", include=self.model_fields_set)


CHANGEABLE = tuple(NimChanges.model_fields)


class Earlier(StrictModel):
    """What the override said before, and who had said so."""

    version: int = Field(ge=1)
    changes: dict[str, Any]
    changed_by: str
    changed_at: str


class NimOverride(StrictModel):
    """One document of the collection `nim_overrides`. No changes: the NIM is as the file says, again."""

    schema_version: int = SCHEMA_VERSION
    nim: str
    version: int = Field(ge=1, description="Raised by each change; a change names the one that it has seen.")
    changes: dict[str, Any] = Field(description="Fields of `NimChanges` with their values.")
    changed_by: str
    changed_at: str = Field(description="UTC, ISO 8601 with milliseconds.")
    history: list[Earlier] = Field(default=[], description="Newest first; at most 50.")

    def followed_by(self, changes: Mapping[str, Any], by: str, at: str) -> NimOverride:
        """The next version, which says `changes` and nothing else."""
        before = Earlier.model_validate(
            self.model_dump(include={"version", "changes", "changed_by", "changed_at"})
        )
        return NimOverride(
            nim=self.nim,
            version=self.version + 1,
            changes=dict(changes),
            changed_by=by,
            changed_at=at,
            history=[before, *self.history][:MAX_HISTORY],
        )


def read_changes(data: Any, nim: str) -> dict[str, Any]:
    """What is to be changed, as JSON values. Raises ConfigError that names every fault."""
    changes = validate(NimChanges, data, f"NIM {nim}").said()
    if not changes:
        raise ConfigError(f"NIM {nim}: nothing is to be changed; give one of: {', '.join(CHANGEABLE)}")
    return changes


def changed(nim: Nim, changes: Mapping[str, Any]) -> Nim:
    """`nim` of the file with the changes laid over it, validated like the file. Raises ConfigError."""
    replaced = {fact for field in changes for fact in _FACTS.get(field, ())}
    sources = {fact: whose for fact, whose in nim.sources.items() if fact not in replaced}
    try:
        return Nim.model_validate(nim.model_dump() | {**changes, "sources": sources})
    except ValidationError as error:
        fault = explain(error, f"NIM {nim.name}")
        raise ConfigError(f"{fault}; correct it, or reset the NIM to what the file says") from None


def overridden(catalogue: Mapping[str, Nim], overrides: Mapping[str, NimOverride]) -> dict[str, Nim]:
    """The catalogue that the next run sees. An override of a NIM that the file has no more says nothing.

    Raises ConfigError where an override contradicts what the file says by now.
    """
    return {
        name: changed(nim, overrides[name].changes) if name in overrides else nim
        for name, nim in catalogue.items()
    }

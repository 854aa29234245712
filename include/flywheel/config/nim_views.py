"""The catalogue as an administrator looks at it: what holds, what the file says, and who changed what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import Field

from include.flywheel.config.base import StrictModel
from include.flywheel.config.nims import Nim
from include.flywheel.config.overrides import CHANGEABLE, Earlier, NimOverride, changed
from include.flywheel.errors import ConfigError, UnknownName


class NimView(StrictModel):
    """One NIM. `values` is what the next run works with."""

    name: str
    version: int = Field(description="Of its override, for the next change; 0: never changed.")
    enabled: bool
    can_be_deployed: bool = Field(description="Enabled, and every fact is known that a deployment needs.")
    can_be_customized: bool = Field(description="Has a customization target.")
    unknown: list[str] = Field(description="Facts that nobody has stated.")
    values: Nim = Field(description="The file with the override over it.")
    in_file: dict[str, Any] = Field(description="What the file says of the fields that can be changed.")
    override: dict[str, Any] = Field(description="What is said instead; empty: nothing.")
    changed_by: str | None = Field(default=None, description="Who made this version.")
    changed_at: str | None = Field(default=None, description="When, UTC.")
    problem: str | None = Field(
        default=None, description="Why the override cannot be used: `values` are the file's."
    )
    history: list[Earlier] | None = Field(
        default=None, description="Earlier versions, newest first; of a single NIM only."
    )


def nim_views(catalogue: Mapping[str, Nim], overrides: Mapping[str, NimOverride]) -> list[NimView]:
    """Every NIM of the file, in its order, without history."""
    return [nim_view(nim, overrides.get(name)) for name, nim in catalogue.items()]


def nim_view(nim: Nim, override: NimOverride | None, *, history: bool = False) -> NimView:
    """One NIM of the file, with what is said over it."""
    values, problem = nim, None
    if override is not None:
        try:
            values = changed(nim, override.changes)
        except ConfigError as error:
            problem = str(error)
    return NimView(
        name=nim.name,
        version=override.version if override else 0,
        enabled=values.enabled,
        can_be_deployed=values.enabled and not values.unknown_to_deploy,
        can_be_customized=values.customization is not None,
        unknown=values.unknown_facts,
        values=values,
        in_file=nim.model_dump(mode="json", include=set(CHANGEABLE)),
        override=override.changes if override else {},
        changed_by=override.changed_by if override else None,
        changed_at=override.changed_at if override else None,
        problem=problem,
        history=(override.history if override else []) if history else None,
    )


def known_nim(catalogue: Mapping[str, Nim], name: str) -> Nim:
    """The NIM of that name. Raises UnknownName that lists the known ones."""
    if name not in catalogue:
        raise UnknownName(f"NIM {name!r} is not in the catalogue; known are: {', '.join(sorted(catalogue))}")
    return catalogue[name]


def known_fields(fields: Iterable[str]) -> list[str]:
    """`fields`, each of which can be changed. Raises ConfigError for another."""
    named = list(fields)
    for field in named:
        if field not in CHANGEABLE:
            raise ConfigError(f"`{field}` cannot be changed; what can is: {', '.join(CHANGEABLE)}")
    return named

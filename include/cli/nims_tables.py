"""The NIM catalogue and changes of it for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from include.flywheel.config.nim_views import NimView
from include.flywheel.config.overrides import CHANGEABLE
from include.flywheel.report.text import align

_UNKNOWN = "?"


def nim_lines(views: Sequence[NimView]) -> list[str]:
    """A line for each NIM, in the catalogue's order."""
    head = ["NIM", "type", "GPUs", "context", "image tag", "customized", "deployable", "unknown", "changed"]
    return align([head, *map(_row, views)])


def nim_yaml(view: NimView) -> str:
    """All that is known of a NIM, as YAML."""
    shown = view.model_dump(mode="json", exclude_none=True)
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=110)


def change_lines(before: NimView, after: NimView) -> list[str]:
    """What a change has changed, field by field, from one value to the next."""
    old, new = (view.values.model_dump(mode="json", include=set(CHANGEABLE)) for view in (before, after))
    lines = [
        f"{after.name} {field}: {_words(old[field])} → {_words(new[field])}"
        for field in CHANGEABLE
        if old[field] != new[field]
    ]
    if not lines:
        return [f"{after.name}: nothing changed"]
    return [*lines, f"version {after.version}, by {after.changed_by}; the runs to come work with it"]


def _row(view: NimView) -> list[str]:
    values = view.values
    changed = f"{view.changed_by}: {', '.join(view.override)}" if view.override else "-"
    return [
        view.name,
        values.type.value,
        _number(values.gpus),
        _number(values.context_tokens),
        values.image_tag or _UNKNOWN,
        "yes" if view.can_be_customized else "no",
        "yes" if view.can_be_deployed else ("no" if view.enabled else "disabled"),
        ", ".join(view.unknown) or "-",
        f"{changed} (cannot be used)" if view.problem else changed,
    ]


def _number(value: int | None) -> str:
    return _UNKNOWN if value is None else f"{value:,}"


def _words(value: Any) -> str:
    """A value on one line, as a person would write it behind `set`."""
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("...\n").strip()

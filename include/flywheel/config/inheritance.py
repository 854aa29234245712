"""Configuration files that build on others: `extends: NAME`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from include.flywheel.config.base import read_yaml
from include.flywheel.errors import ConfigError

KEY = "extends"


def read_inherited(name: str, files: Mapping[str, Path]) -> tuple[Any, list[str]]:
    """The content of `files[name]` over what it extends, and the names from `name` to its last ancestor.

    Mappings are merged at every depth; anything else (lists too) takes the place of what the parent says.
    Raises ConfigError for a parent that is no name, is not known, or leads back.
    """
    layers: list[Any] = []
    chain: list[str] = []
    following: str | None = name
    while following is not None:
        chain.append(following)
        content = read_yaml(files[following])
        following = _parent(content, chain, files)
        layers.append(content)
    merged = layers.pop()
    while layers:
        merged = merge(merged, layers.pop())
    return _without_key(merged), chain


def merge(base: Any, over: Any) -> Any:
    """`over` laid on `base`; neither is changed."""
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    shared = {key: merge(base[key], value) if key in base else value for key, value in over.items()}
    return base | shared


def _parent(content: Any, chain: list[str], files: Mapping[str, Path]) -> str | None:
    parent = content.get(KEY) if isinstance(content, dict) else None
    if parent is None:
        return None
    said = f"profiles/{files[chain[-1]].name}: `{KEY}` = {parent!r}"
    if not isinstance(parent, str):
        raise ConfigError(f"{said}: give the name of one profile, without .yaml")
    if parent in chain:
        circle = " extends ".join([*chain[chain.index(parent) :], parent])
        raise ConfigError(f"{said} leads back: {circle}; take one `{KEY}` out")
    if parent not in files:
        raise ConfigError(f"{said}: no such profile; known are: {', '.join(sorted(files))}")
    return parent


def _without_key(merged: Any) -> Any:
    if not isinstance(merged, dict):
        return merged
    return {key: value for key, value in merged.items() if key != KEY}

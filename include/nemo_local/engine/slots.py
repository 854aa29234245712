"""What an argument asks for, as its schema and the evidence about it say."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from include.nemo_local.engine.atoms import fine_shape, shape_of
from include.nemo_local.engine.conversation import Tool
from include.nemo_local.engine.text import code, name_words

_QUOTED = re.compile(r"'([^'\n]{1,40})'|\"([^\"\n]{1,40})\"|\u201c([^\u201d\n]{1,40})\u201d|`([^`\n]{1,40})`")
_WORD = re.compile(r"[^\W_]+")
_FORMATS = {"YYYY-MM-DD": "2024-01-01", "yyyy-mm-dd": "2024-01-01"}
_FREE_NAMES = frozenset(
    [
        "summary",
        "thought",
        "reason",
        "message",
        "note",
        "comment",
        "question",
        "query",
        "description",
        "text",
        "content",
        "expression",
        "body",
    ]
)
MAX_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Slot:
    """One argument of one tool.

    `path` is `tool.parameter` with dots for nested ones, `[]` for members of lists.
    """

    path: str
    name: str
    kind: str
    required: bool
    shapes: frozenset[str]
    fines: frozenset[int]
    choices: tuple[Any, ...]
    free: bool
    inner: tuple["Slot", ...] = field(default=())
    constants: tuple[Any, ...] = ()

    @property
    def codes(self) -> tuple[int, int]:
        """Salts for features of this slot and of every slot of its name."""
        return code("slot " + self.path), code("name " + self.name)


def _kind(schema: dict[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), None)
    if isinstance(kind, str):
        return kind
    for option in ("anyOf", "oneOf"):
        for inner in schema.get(option) or []:
            if isinstance(inner, dict) and inner.get("type") not in (None, "null"):
                return _kind(inner)
    return "object" if isinstance(schema.get("properties"), dict) else "string"


def _hints(name: str, schema: dict[str, Any]) -> list[str]:
    description = str(schema.get("description") or "")
    found = [next(group for group in match.groups() if group) for match in _QUOTED.finditer(description)]
    hints = [_FORMATS.get(hint, hint) for hint in found]
    for key in ("example", "default"):
        if isinstance(schema.get(key), str):
            hints.append(schema[key])
    hints.extend(e for e in schema.get("examples") or [] if isinstance(e, str))
    if schema.get("format") == "date" or (not hints and name_words(name)[-1:] in (("date",), ("dob",))):
        hints.append("2024-01-01")
    if schema.get("format") == "email" or "email" in name_words(name):
        hints.append("a.b@example.com")
    return hints


def _slot(path: str, name: str, schema: dict[str, Any], required: bool, depth: int) -> Slot:
    kind = _kind(schema)
    hints = _hints(name, schema) if kind == "string" else []
    enum = schema.get("enum")
    choices = (
        tuple(e for e in enum if isinstance(e, str | int | float | bool)) if isinstance(enum, list) else ()
    )
    if kind == "boolean":
        choices = (True, False)
    inner: tuple[Slot, ...] = ()
    if kind == "array" and isinstance(schema.get("items"), dict) and depth < MAX_DEPTH:
        inner = (_slot(path + "[]", name, schema["items"], True, depth + 1),)
    elif kind == "object" and isinstance(schema.get("properties"), dict) and depth < MAX_DEPTH:
        required_names = schema.get("required")
        needed = required_names if isinstance(required_names, list) else []
        inner = tuple(
            _slot(
                f"{path}.{key}", str(key), value if isinstance(value, dict) else {}, key in needed, depth + 1
            )
            for key, value in schema["properties"].items()
        )
    shapes = {"num"} if kind in ("number", "integer") else {shape_of(hint) for hint in hints}
    prose_name = bool(_FREE_NAMES & set(name.lower().split("_")))
    return Slot(
        path=path,
        name=name,
        kind=kind,
        required=required,
        shapes=frozenset(shapes),
        fines=frozenset(fine_shape(hint) for hint in hints),
        choices=choices,
        free=kind == "string" and not choices and (prose_name or "phrase" in shapes),
        inner=inner,
    )


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What was learnt about a slot besides weights: shapes that its values had, and frequent values."""

    shapes: frozenset[str] = frozenset()
    constants: tuple[Any, ...] = ()


def with_knowledge(slot: Slot, known: Mapping[str, Knowledge]) -> Slot:
    """The slot, and those inside it, with what was learnt instead of what its schema hints at."""
    inner = tuple(with_knowledge(each, known) for each in slot.inner)
    knowledge = known.get(slot.path)
    if knowledge is None:
        return replace(slot, inner=inner)
    return replace(slot, inner=inner, shapes=knowledge.shapes or slot.shapes, constants=knowledge.constants)


@lru_cache(maxsize=1024)
def slots_of(tool: Tool) -> tuple[Slot, ...]:
    """The tool's arguments in the order of its schema."""
    return tuple(
        _slot(f"{tool.name}.{name}", name, schema, name in tool.required, 0)
        for name, schema in tool.properties.items()
    )


@lru_cache(maxsize=8192)
def spoken(choice: str) -> str:
    """A choice as people write it (`basic_economy` → `basic economy`)."""
    return choice.lower().replace("_", " ").replace("-", " ")


@lru_cache(maxsize=4096)
def _spaced(text: str) -> str:
    return f" {' '.join(_WORD.findall(text.lower()))} "


def says(text: str, phrase: str) -> bool:
    """Whether the words of a phrase stand in a text, one after the other."""
    return _spaced(phrase) in _spaced(text)


def coerce(value: Any, kind: str) -> Any:
    """The value in the schema's type; None where it cannot be."""
    if kind == "string":
        return (
            value if isinstance(value, str) else None if isinstance(value, bool | dict | list) else str(value)
        )
    if kind in ("number", "integer"):
        if isinstance(value, str):
            try:
                value = float(value) if "." in value else int(value[:18])
            except ValueError:
                return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return (
            int(value)
            if kind == "integer" and float(value).is_integer()
            else None
            if kind == "integer"
            else value
        )
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    return value

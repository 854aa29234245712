"""What the services take as a name."""

from __future__ import annotations

import re
from collections.abc import Mapping

from include.airflow_nemo.errors import BadParameter

MAX_NAME_CHARS = 255
_NAME = re.compile(r"[A-Za-z0-9_\-+.@:]+")


def check_name(field: str, value: str) -> str:
    """The value. Raises BadParameter that names `field` for what the services would refuse as a name."""
    if not isinstance(value, str) or value in ("", "None", ".", ".."):
        raise BadParameter(f"`{field}` is {value!r}; give a name. An empty template renders as 'None'.")
    if len(value) > MAX_NAME_CHARS:
        raise BadParameter(
            f"`{field}` has {len(value)} characters ({value[:40]}...); give at most {MAX_NAME_CHARS}."
        )
    if not _NAME.fullmatch(value):
        wrong = "".join(sorted(set(_NAME.sub("", value))))
        raise BadParameter(
            f"`{field}` is {value!r}, with {wrong!r}; use letters, digits and _ - + . @ : only."
        )
    return value


def check_qualified(field: str, value: str) -> str:
    """The value, of the form `namespace/name`. Raises BadParameter that names `field` otherwise."""
    namespace, slash, name = str(value).partition("/")
    if not slash:
        raise BadParameter(f"`{field}` is {value!r}; give namespace/name.")
    check_name(f"{field} (its namespace)", namespace)
    check_name(f"{field} (its name)", name)
    return value


def check_custom_fields(custom_fields: Mapping[str, str], reserved: frozenset[str]) -> dict[str, str]:
    """The fields as text. Raises BadParameter for one that the operator sets itself."""
    for name in custom_fields:
        if name in reserved:
            raise BadParameter(f"`custom_fields` has {name!r}, which the operator sets; name it otherwise.")
    return {name: str(value) for name, value in custom_fields.items()}

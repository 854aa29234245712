"""Lists as the services answer them: filters, search, sort and paging over documents."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

from starlette.datastructures import QueryParams

from include.nemo_local.errors import Invalid

_KEY = re.compile(r"^(filter|search)((?:\[[^\[\]]+\])+)$")
_PART = re.compile(r"\[([^\[\]]+)\]")
_COMPARE = {
    "gte": lambda value, bound: value >= bound,
    "gt": lambda value, bound: value > bound,
    "lte": lambda value, bound: value <= bound,
    "lt": lambda value, bound: value < bound,
}
MAX_PAGE_SIZE = 1000


def page_of(
    bodies: Iterable[dict[str, Any]],
    query: QueryParams,
    *,
    aliases: dict[str, str] | None = None,
) -> dict[str, Any]:
    """The answer to a list call: ``page`` counts from 1 and is empty past the end.

    ``aliases`` maps a filter's name to the dotted path of the body that it means.
    Raises Invalid for a page or page size that is no positive number.
    """
    page, size = _positive(query, "page", 1), min(_positive(query, "page_size", 100), MAX_PAGE_SIZE)
    sort = query.get("sort", "created_at")
    found = [body for body in bodies if _matches(body, query, aliases or {})]
    found.sort(key=lambda body: str(_at(body, sort.lstrip("-")) or ""), reverse=sort.startswith("-"))
    shown = found[(page - 1) * size : page * size]
    return {
        "object": "list",
        "data": shown,
        "pagination": {
            "page": page,
            "page_size": size,
            "current_page_size": len(shown),
            "total_pages": math.ceil(len(found) / size),
            "total_results": len(found),
        },
        "sort": sort,
    }


def _positive(query: QueryParams, name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not text.isdigit() or int(text) < 1:
        raise Invalid(f"`{name}` must be a whole number from 1, not {text!r}", field=name)
    return int(text)


def _matches(body: dict[str, Any], query: QueryParams, aliases: dict[str, str]) -> bool:
    for key, wanted in query.multi_items():
        parsed = _KEY.match(key)
        if parsed is None:
            continue
        parts = _PART.findall(parsed[2])
        if parsed[1] == "search":
            if not _contains(_at(body, ".".join(parts)), wanted):
                return False
        elif not _passes(body, parts, wanted, aliases):
            return False
    return True


def _passes(body: dict[str, Any], parts: list[str], wanted: str, aliases: dict[str, str]) -> bool:
    if len(parts) > 1 and parts[-1] in _COMPARE:
        value = _at(body, ".".join(parts[:-1]))
        return value is not None and _COMPARE[parts[-1]](str(value), wanted)
    path = ".".join(parts)
    value = _at(body, aliases.get(path, path))
    if isinstance(value, dict):
        # `filter[peft]=true` asks for its presence.
        return wanted.lower() == "true"
    if value is None:
        return wanted.lower() in ("false", "null", "")
    return _text(value) in wanted.split(",") or _text(value) == wanted


def _contains(value: Any, wanted: str) -> bool:
    return value is not None and any(part in _text(value) for part in wanted.split(","))


def _at(body: Any, path: str) -> Any:
    for part in path.split("."):
        body = body.get(part) if isinstance(body, dict) else None
    return body


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

"""Lists as the services answer them: filters, search, sort and paging over documents."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

from starlette.datastructures import QueryParams

from include.nemo_local.errors import Invalid

_KEY = re.compile(r"^(filter|search)((?:\[[^\[\]]+\])+)$")
_PART = re.compile(r"\[([^\[\]]+)\]")
_DATES = frozenset({"created_at", "updated_at"})
_COMPARE: dict[str, Callable[[datetime, datetime], bool]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "gte": operator.ge,
    "gt": operator.gt,
    "lte": operator.le,
    "lt": operator.lt,
}
_RANGE = {"start": operator.ge, "end": operator.le}
_FINER_THAN_MICROSECONDS = re.compile(r"(\.\d{6})\d+")
MAX_PAGE_SIZE = 1000


@dataclass(frozen=True)
class ListFields:
    """What a list can be filtered by and searched for; None where the contract leaves it open."""

    filter: frozenset[str] | None = None
    search: frozenset[str] | None = None


def page_of(
    bodies: Iterable[dict[str, Any]],
    query: QueryParams,
    *,
    fields: ListFields = ListFields(),
    aliases: dict[str, str] | None = None,
) -> dict[str, Any]:
    """The answer to a list call: ``page`` counts from 1 and is empty past the end.

    ``aliases`` maps a filter's name to the dotted path of the body that it means.
    Raises Invalid for a page or page size that is no positive number, a filter or search that this list
    does not have, and a date that is none.
    """
    page, size = _positive(query, "page", 1), min(_positive(query, "page_size", 100), MAX_PAGE_SIZE)
    sort = query.get("sort", "created_at")
    conditions = list(_conditions(query, fields, aliases or {}))
    found = [body for body in bodies if all(holds(body) for holds in conditions)]
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


Condition = Callable[[dict[str, Any]], bool]


def _conditions(query: QueryParams, fields: ListFields, aliases: dict[str, str]) -> Iterator[Condition]:
    """All must hold. Values of one search key are alternatives, those of one filter key are not."""
    searches: dict[tuple[str, ...], list[str]] = {}
    for key, wanted in query.multi_items():
        parsed = _KEY.match(key)
        if parsed is None:
            continue
        kind, parts = parsed[1], tuple(_PART.findall(parsed[2]))
        offered = fields.filter if kind == "filter" else fields.search
        if offered is not None and parts[0] not in offered:
            known = ", ".join(sorted(offered)) or "none"
            raise Invalid(
                f"this list has no {kind} `{parts[0]}`; it has: {known}", field=f"{kind}.{parts[0]}"
            )
        if parts[0] in _DATES and len(parts) > 1:
            yield _dated(kind, parts, wanted)
        elif kind == "filter":
            yield _filtered(aliases.get(".".join(parts), ".".join(parts)), wanted)
        else:
            searches.setdefault(parts, []).extend(wanted.split(","))
    for parts, alternatives in searches.items():
        yield _searched(".".join(parts), alternatives)


def _dated(kind: str, parts: tuple[str, ...], wanted: str) -> Condition:
    """``filter[created_at][gte]`` and its like, ``search[created_at][start|end]``."""
    field = ".".join((kind, *parts))
    compare = (_COMPARE if kind == "filter" else _RANGE).get(parts[1])
    if compare is None or len(parts) > 2:
        known = ", ".join(_COMPARE if kind == "filter" else _RANGE)
        raise Invalid(f"`{parts[0]}` is compared by {known}, not by {parts[1]!r}", field=field)
    bound = _moment(wanted, whole_day=parts[1] == "end")
    if bound is None:
        raise Invalid(f"{wanted!r} is no date: give one as 2026-01-31 or 2026-01-31T12:00:00", field=field)

    def holds(body: dict[str, Any]) -> bool:
        value = _moment(str(body.get(parts[0])))
        return value is not None and compare(value, bound)

    return holds


def _moment(text: str, *, whole_day: bool = False) -> datetime | None:
    """A time of the wire, in UTC where it names no zone; ``whole_day``: a bare date means its last moment."""
    try:
        found = datetime.fromisoformat(_FINER_THAN_MICROSECONDS.sub(r"\1", text.strip()))
    except ValueError:
        return None
    if whole_day and ":" not in text:
        found = datetime.combine(found, time.max)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def _filtered(path: str, wanted: str) -> Condition:
    return lambda body: any(_passes(value, wanted) for value in _all_at(body, path))


def _passes(value: Any, wanted: str) -> bool:
    if isinstance(value, dict):
        # `filter[peft]=true` asks for its presence.
        return wanted.lower() == "true"
    if value is None:
        return wanted.lower() in ("false", "null", "")
    return _text(value) in wanted.split(",") or _text(value) == wanted


def _searched(path: str, alternatives: list[str]) -> Condition:
    def holds(body: dict[str, Any]) -> bool:
        value = _at(body, path)
        return value is not None and any(part in _text(value) for part in alternatives)

    return holds


def _all_at(body: Any, path: str) -> list[Any]:
    """What stands at a path, in each entry of the lists on the way."""
    found = [body]
    for part in path.split("."):
        entries = [entry for one in found for entry in (one if isinstance(one, list) else [one])]
        found = [entry.get(part) if isinstance(entry, dict) else None for entry in entries]
    return found


def _at(body: Any, path: str) -> Any:
    for part in path.split("."):
        body = body.get(part) if isinstance(body, dict) else None
    return body


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

"""Queries of the Elasticsearch stand-in, compiled to predicates. What is not known is refused, as there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from es_mapping import DATE, NUMBERS, TEXT, Refused, to_millis

Predicate = Callable[[Any], bool]


def refuse(reason: str) -> Refused:
    return Refused(400, "parsing_exception", reason)


def predicate(query: Any) -> Predicate:
    """A test of a document (`.values`, `.index`, `.fields`) for a query of the JSON DSL."""
    if not isinstance(query, dict) or len(query) != 1:
        raise refuse(f"query malformed, must start with start_object and have one clause: {query!r:.80}")
    [(name, body)] = query.items()
    compile_one = _CLAUSES.get(name)
    if compile_one is None:
        raise refuse(f"unknown query [{name}]")
    return compile_one(body)


def _match_all(body: dict[str, Any]) -> Predicate:
    if body:
        raise refuse("[match_all] takes nothing")
    return lambda document: True


def _bool(body: dict[str, Any]) -> Predicate:
    unknown = set(body) - {"filter", "must", "must_not", "should", "minimum_should_match"}
    if unknown:
        raise refuse(f"[bool] query does not support {sorted(unknown)}")
    clauses = {
        name: [predicate(one) for one in (body[name] if isinstance(body[name], list) else [body[name]])]
        for name in ("filter", "must", "must_not", "should")
        if name in body
    }
    needed = [*clauses.get("filter", []), *clauses.get("must", [])]
    forbidden, optional = clauses.get("must_not", []), clauses.get("should", [])
    at_least = body.get("minimum_should_match", 0 if needed else 1) if optional else 0

    def holds(document: Any) -> bool:
        return (
            all(one(document) for one in needed)
            and not any(one(document) for one in forbidden)
            and sum(one(document) for one in optional) >= int(at_least)
        )

    return holds


def _one_field(name: str, body: dict[str, Any]) -> tuple[str, Any]:
    if not isinstance(body, dict) or len(body) != 1:
        raise refuse(f"[{name}] query needs exactly one field: {body!r:.80}")
    [(field, value)] = body.items()
    return field, value


def _term(body: dict[str, Any]) -> Predicate:
    field, value = _one_field("term", body)
    if isinstance(value, dict):
        if set(value) - {"value", "boost"}:
            raise refuse(f"[term] query does not support {sorted(value)}")
        value = value["value"]
    return _has_any(field, [value])


def _terms(body: dict[str, Any]) -> Predicate:
    field, values = _one_field("terms", body)
    if not isinstance(values, list):
        raise refuse("[terms] query requires an array")
    return _has_any(field, values)


def _has_any(field: str, wanted: list[Any]) -> Predicate:
    if any(isinstance(value, list | dict) for value in wanted):
        raise refuse(f"[{field}] term value must not be an object or array")
    if field == "_index":
        return lambda document: document.index in wanted

    def holds(document: Any) -> bool:
        spec = document.fields.get(field)
        if spec is None:
            return False
        found = document.values.get(field, [])
        if spec["type"] == TEXT:
            return any(value in tokens for value in wanted for tokens in found)
        if spec["type"] in NUMBERS or spec["type"] == "boolean":
            return any(value in found for value in wanted)
        return any(str(value) in map(str, found) for value in wanted)

    return holds


def _range(body: dict[str, Any]) -> Predicate:
    field, bounds = _one_field("range", body)
    unknown = set(bounds) - {"gt", "gte", "lt", "lte", "format", "time_zone"}
    if unknown:
        raise refuse(f"[range] query does not support {sorted(unknown)}")

    def limit(name: str, spec: dict[str, Any]) -> Any:
        if name not in bounds:
            return None
        if spec["type"] != DATE:
            return bounds[name]
        given = {"format": bounds["format"]} if "format" in bounds else spec
        return to_millis(field, {"type": DATE, **given, "ignore_malformed": False}, bounds[name])

    def holds(document: Any) -> bool:
        spec = document.fields.get(field)
        if spec is None:
            return False
        if spec["type"] == TEXT:
            raise refuse(f"range on text field [{field}] is not supported here")
        gt, gte, lt, lte = (limit(name, spec) for name in ("gt", "gte", "lt", "lte"))
        return any(
            (gt is None or value > gt)
            and (gte is None or value >= gte)
            and (lt is None or value < lt)
            and (lte is None or value <= lte)
            for value in document.values.get(field, [])
        )

    return holds


def _exists(body: dict[str, Any]) -> Predicate:
    if set(body) != {"field"}:
        raise refuse("[exists] needs `field`")
    return lambda document: bool(document.values.get(body["field"]))


def _ids(body: dict[str, Any]) -> Predicate:
    return lambda document: document.id in body["values"]


_CLAUSES: dict[str, Callable[[Any], Predicate]] = {
    "match_all": _match_all,
    "bool": _bool,
    "term": _term,
    "terms": _terms,
    "range": _range,
    "exists": _exists,
    "ids": _ids,
}

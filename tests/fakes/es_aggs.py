"""Aggregations of the Elasticsearch stand-in: composite with its metrics, and the metrics alone."""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from typing import Any

from es_mapping import TEXT, Refused
from es_query import predicate

_DAY_MS = 86_400_000
_KINDS = {
    "composite",
    "filter",
    "min",
    "max",
    "sum",
    "value_count",
    "stats",
    "percentiles",
    "cardinality",
    "terms",
}


def aggregate(aggs: dict[str, Any], documents: list[Any]) -> dict[str, Any]:
    """The answers of every aggregation over the documents."""
    return {name: _one(name, spec, documents) for name, spec in aggs.items()}


def _one(name: str, spec: dict[str, Any], documents: list[Any]) -> dict[str, Any]:
    inner = spec.get("aggs") or spec.get("aggregations") or {}
    kinds = set(spec) - {"aggs", "aggregations"}
    if len(kinds) != 1 or not kinds <= _KINDS:
        raise Refused(400, "parsing_exception", f"unknown aggregation {sorted(kinds)} in [{name}]")
    [kind] = kinds
    body = spec[kind]
    if kind == "composite":
        return _composite(body, inner, documents)
    if kind == "filter":
        chosen = [document for document in documents if predicate(body)(document)]
        return {"doc_count": len(chosen), **aggregate(inner, chosen)}
    if kind == "terms":
        return _terms(body, inner, documents)
    return _metric(kind, body, documents)


def values_of(field: str, documents: Iterable[Any]) -> list[Any]:
    """The values that a sort or an aggregation reads. Text fields have none, as there."""
    found = []
    for document in documents:
        if document.fields.get(field, {}).get("type") == TEXT:
            reason = f"Fielddata is disabled on [{field}]. Text fields are not optimised for aggregations"
            raise Refused(400, "illegal_argument_exception", reason)
        found += document.values.get(field, [])
    return found


def _metric(kind: str, body: dict[str, Any], documents: list[Any]) -> dict[str, Any]:
    values = sorted(values_of(body["field"], documents))
    if kind == "percentiles":
        percents = body.get("percents", [1, 5, 25, 50, 75, 95, 99])
        return {"values": {f"{float(p)}": _percentile(values, p) for p in percents}}
    if kind == "stats":
        total = float(sum(values))
        extremes = {"min": values[0], "max": values[-1], "avg": total / len(values)} if values else {}
        return {"count": len(values), "sum": total, **extremes}
    if kind == "cardinality":
        return {"value": len(set(values))}
    if kind == "value_count":
        return {"value": len(values)}
    if kind == "sum":
        return {"value": float(sum(values))}
    return {"value": (float(values[0 if kind == "min" else -1]) if values else None)}


def _percentile(values: list[float], percent: float) -> float | None:
    if not values:
        return None
    at = (len(values) - 1) * percent / 100
    low = int(at)
    high = min(low + 1, len(values) - 1)
    return float(values[low] + (values[high] - values[low]) * (at - low))


def _terms(body: dict[str, Any], inner: dict[str, Any], documents: list[Any]) -> dict[str, Any]:
    groups: dict[Any, list[Any]] = {}
    for document in documents:
        for value in set(values_of(body["field"], [document])):
            groups.setdefault(value, []).append(document)
    ranked = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    size = body.get("size", 10)
    return {
        "doc_count_error_upper_bound": 0,
        "sum_other_doc_count": sum(len(chosen) for _, chosen in ranked[size:]),
        "buckets": [
            {"key": key, "doc_count": len(chosen), **aggregate(inner, chosen)}
            for key, chosen in ranked[:size]
        ],
    }


def _composite(body: dict[str, Any], inner: dict[str, Any], documents: list[Any]) -> dict[str, Any]:
    if set(body) - {"size", "sources", "after"}:
        raise Refused(400, "parsing_exception", f"[composite] unknown field in {sorted(body)}")
    sources = [next(iter(source.items())) for source in body["sources"]]
    groups: dict[tuple[Any, ...], list[Any]] = {}
    for document in documents:
        keys = [_source_key(spec, document) for _, spec in sources]
        if all(key is not None for key in keys):
            groups.setdefault(tuple(keys), []).append(document)
    ordered = sorted(groups)
    start = 0
    if "after" in body:
        start = bisect.bisect_right(ordered, tuple(body["after"][name] for name, _ in sources))
    page = ordered[start : start + body.get("size", 10)]
    names = [name for name, _ in sources]
    buckets = [
        {
            "key": dict(zip(names, key, strict=True)),
            "doc_count": len(groups[key]),
            **aggregate(inner, groups[key]),
        }
        for key in page
    ]
    answer: dict[str, Any] = {"buckets": buckets}
    if buckets:
        answer["after_key"] = buckets[-1]["key"]
    return answer


def _source_key(spec: dict[str, Any], document: Any) -> Any:
    [(kind, body)] = spec.items()
    values = values_of(body["field"], [document])
    if not values:
        return None
    if kind == "terms":
        return values[0]
    if kind == "date_histogram":
        interval = body.get("fixed_interval", "")
        width = int(interval[:-2]) if interval.endswith("ms") else _DAY_MS if interval == "1d" else 0
        if width:
            return values[0] // width * width
    raise Refused(400, "parsing_exception", f"unknown composite source {spec!r:.80}")

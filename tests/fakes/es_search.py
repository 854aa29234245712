"""Searches of the Elasticsearch stand-in: points in time, sorting, paging, slices."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from es_aggs import aggregate, values_of
from es_indices import Document, Indices
from es_mapping import Refused
from es_query import predicate

MAX_WINDOW = 10_000
_MISSING = -(2**63)
_KEYS = {
    "query", "pit", "size", "from", "sort", "search_after", "slice", "track_total_hits", "_source", "aggs",
    "aggregations", "timeout",
}  # fmt: skip
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass
class PointInTime:
    """What the indices held, and the answers that were sorted once for it."""

    documents: list[Document]
    shards: int
    expires_at: float
    ranked: dict[str, list[tuple[list[Any], Document]]] = field(default_factory=dict)


def seconds(duration: str) -> float:
    found = re.fullmatch(r"(\d+)(ms|s|m|h|d)", duration or "")
    if not found:
        raise Refused(400, "illegal_argument_exception", f"failed to parse [{duration}] as a time value")
    return int(found[1]) * _UNITS[found[2]]


class Searches:
    """Points in time, and searches with or without one."""

    def __init__(self, indices: Indices) -> None:
        self._indices = indices
        self.points: dict[str, PointInTime] = {}

    def open(self, pattern: str, keep_alive: str) -> str:
        indices = self._indices.resolve(pattern)
        name = f"pit-{uuid4().hex}"
        documents = [document for index in indices for document in index.visible()]
        shards = sum(index.shards for index in indices)
        self.points[name] = PointInTime(documents, shards, time.monotonic() + seconds(keep_alive))
        return name

    def close(self, name: str) -> bool:
        return self.points.pop(name, None) is not None

    def count(self, pattern: str, body: dict[str, Any]) -> int:
        return len(self.matching(pattern, body))

    def matching(self, pattern: str, body: dict[str, Any]) -> list[Document]:
        holds = predicate(body.get("query", {"match_all": {}}))
        return [one for index in self._indices.resolve(pattern) for one in index.visible() if holds(one)]

    def search(self, pattern: str | None, body: dict[str, Any]) -> dict[str, Any]:
        unknown = set(body) - _KEYS
        if unknown:
            raise Refused(400, "parsing_exception", f"unknown key for a search: {sorted(unknown)}")
        size = body.get("size", 10)
        if size + body.get("from", 0) > MAX_WINDOW:
            reason = f"Result window is too large, must be less than or equal to: [10000] but was [{size}]"
            raise Refused(400, "illegal_argument_exception", reason)
        point = self._point(pattern, body)
        ranked = self._ranked(point, body)
        total = len(ranked)
        after = body.get("search_after")
        start = body.get("from", 0) if after is None else _after(ranked, after, _sorts(body))
        hits = [_hit(document, keys, body) for keys, document in ranked[start : start + size]]
        answer: dict[str, Any] = {
            "took": 1,
            "timed_out": False,
            "_shards": {"total": point.shards, "successful": point.shards, "skipped": 0, "failed": 0},
            "hits": {
                "max_score": None,
                "hits": hits,
                **_total(body.get("track_total_hits", MAX_WINDOW), total),
            },
        }
        if "pit" in body:
            answer["pit_id"] = body["pit"]["id"]
        aggs = body.get("aggs") or body.get("aggregations")
        if aggs:
            answer["aggregations"] = aggregate(aggs, [document for _, document in ranked])
        return answer

    def _point(self, pattern: str | None, body: dict[str, Any]) -> PointInTime:
        if "pit" not in body:
            indices = self._indices.resolve(pattern or "_all")
            return PointInTime(
                [one for index in indices for one in index.visible()], sum(one.shards for one in indices), 0.0
            )
        if pattern is not None:
            reason = "Validation Failed: 1: [indices] cannot be used with point in time;"
            raise Refused(400, "action_request_validation_exception", reason)
        point = self.points.get(body["pit"]["id"])
        if point is None or point.expires_at < time.monotonic():
            raise Refused(404, "search_context_missing_exception", "No search context found for id [1]")
        if "keep_alive" in body["pit"]:
            point.expires_at = time.monotonic() + seconds(body["pit"]["keep_alive"])
        return point

    def _ranked(self, point: PointInTime, body: dict[str, Any]) -> list[tuple[list[Any], Document]]:
        key = json.dumps([body.get(name) for name in ("query", "sort", "slice")], sort_keys=True)
        if key not in point.ranked:
            holds = predicate(body.get("query", {"match_all": {}}))
            part = _part(body)
            chosen = [one for one in point.documents if holds(one) and part(one)]
            sorts = _sorts(body)
            rows = [([_key(one, name) for name, _ in sorts], one) for one in chosen]
            for at in range(len(sorts) - 1, -1, -1):
                rows.sort(key=lambda row, at=at: _ordered(row[0][at], sorts[at][1]))
            point.ranked[key] = rows
        return point.ranked[key]


def _sorts(body: dict[str, Any]) -> list[tuple[str, bool]]:
    """(field, whether descending); a search in a point in time ends with `_shard_doc`, named or not."""
    given = body.get("sort", [])
    sorts = []
    for one in given if isinstance(given, list) else [given]:
        [(name, spec)] = one.items() if isinstance(one, dict) else [(one, "asc")]
        if isinstance(spec, dict) and set(spec) - {
            "order",
            "missing",
            "unmapped_type",
            "format",
            "numeric_type",
        }:
            raise Refused(400, "parsing_exception", f"[sort] unknown option in {sorted(spec)}")
        order = spec.get("order", "asc") if isinstance(spec, dict) else spec
        if name == "_shard_doc" and "pit" not in body:
            reason = "[_shard_doc] sort field cannot be used without [point in time]"
            raise Refused(400, "action_request_validation_exception", reason)
        sorts.append((name, order == "desc"))
    if "pit" in body and all(name != "_shard_doc" for name, _ in sorts):
        sorts.append(("_shard_doc", False))
    return sorts


def _key(document: Document, name: str) -> Any:
    if name == "_shard_doc":
        return document.order
    if name == "_doc":
        return document.order
    if name not in document.fields:
        raise Refused(400, "query_shard_exception", f"No mapping found for [{name}] in order to sort on")
    values = values_of(name, [document])
    return max(values) if values else _MISSING


def _ordered(value: Any, descending: bool) -> tuple[bool, Any]:
    if value == _MISSING:
        return (True, 0)
    return (False, -value if descending else value)


def _after(rows: list[tuple[list[Any], Document]], after: list[Any], sorts: list[tuple[str, bool]]) -> int:
    if len(after) != len(sorts):
        reason = f"search_after has {len(after)} value(s) but sort has {len(sorts)}."
        raise Refused(400, "illegal_argument_exception", reason)

    def place(keys: list[Any]) -> list[tuple[bool, Any]]:
        return [_ordered(key, descending) for key, (_, descending) in zip(keys, sorts, strict=True)]

    wanted, low, high = place(after), 0, len(rows)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if place(rows[middle][0]) > wanted else (middle + 1, high)
    return low


def _part(body: dict[str, Any]) -> Any:
    if "slice" not in body:
        return lambda document: True
    number, parts = body["slice"]["id"], body["slice"]["max"]
    if parts < 2 or not 0 <= number < parts:
        raise Refused(
            400, "x_content_parse_exception", f"[slice] max must be greater than 1 and id below: {number}"
        )
    return lambda document: document.order % parts == number


def _hit(document: Document, keys: list[Any], body: dict[str, Any]) -> dict[str, Any]:
    hit: dict[str, Any] = {"_index": document.index, "_id": document.id, "_score": None}
    if body.get("_source", True) is not False:
        hit["_source"] = document.source
    if "sort" in body or "pit" in body:
        hit["sort"] = keys
    return hit


def _total(tracked: Any, total: int) -> dict[str, Any]:
    if tracked is False:
        return {}
    most = total if tracked is True else int(tracked)
    return {"total": {"value": min(total, most), "relation": "eq" if total <= most else "gte"}}

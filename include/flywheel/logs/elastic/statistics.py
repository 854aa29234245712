"""Statistics of the log store in Elasticsearch, by its aggregations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from include.flywheel.logs.elastic.fields import IDS, TIME, IdFields
from include.flywheel.logs.elastic.query import IN_SECONDS
from include.flywheel.logs.statistics import DayStatistics, StoreStatistics
from include.flywheel.logs.timestamps import DAY_MS, day_of

PAGE_BUCKETS = 1000
NOT_COUNTED = (
    "Documents without ids or time are not counted here. Length, errors, models and tool calls are not "
    "known: the index keeps request, response and error without indexing them. Percentiles are estimates."
)
_METRICS = {
    "latency": {"percentiles": {"field": "latency_ms", "percents": [50, 95]}},
    "tokens_in": {"stats": {"field": "tokens_in"}},
    "tokens_out": {"stats": {"field": "tokens_out"}},
    "first": {"min": {"field": TIME}},
    "last": {"max": {"field": TIME}},
}
_FORMS = [("must_not", 1), ("filter", 1000)]
"""Documents with times in milliseconds, and in seconds: what the index calls a day is then 1,000 days."""

Search = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]


def elastic_statistics(
    search: Search, index: str, fields: IdFields, client_id: str | None, workload_id: str | None
) -> StoreStatistics:
    """Every day of the index, or of one client and workload.

    :param search: (query, aggregations) → answer. What it raises is raised.
    """
    ids = zip(IDS, (client_id, workload_id), strict=True)
    filters = [fields.exact(field, value) for field, value in ids if value is not None]
    days: list[DayStatistics] = []
    for clause, unit_ms in _FORMS:
        conditions: dict[str, list[Any]] = {"filter": [*filters], "must_not": []}
        conditions[clause].append(IN_SECONDS)
        days += _days(search, fields, {"bool": conditions}, unit_ms)
    days.sort(key=lambda one: (one.day, one.client_id, one.workload_id))
    return StoreStatistics(where=index, days=days, notes=[NOT_COUNTED])


def _days(search: Search, fields: IdFields, query: dict[str, Any], unit_ms: int) -> Iterator[DayStatistics]:
    interval = f"{DAY_MS // unit_ms}ms"
    sources: list[dict[str, Any]] = [
        {"day": {"date_histogram": {"field": TIME, "fixed_interval": interval}}},
        *({field: {"terms": {"field": fields.to_group_by(field)}}} for field in IDS),
    ]
    after: dict[str, Any] = {}
    while True:
        composite = {"size": PAGE_BUCKETS, "sources": sources, **after}
        answer = search(query, {"days": {"composite": composite, "aggs": _METRICS}})["aggregations"]["days"]
        yield from (_day(bucket, unit_ms) for bucket in answer["buckets"])
        if len(answer["buckets"]) < PAGE_BUCKETS:
            return
        after = {"after": answer["after_key"]}


def _day(bucket: dict[str, Any], unit_ms: int) -> DayStatistics:
    key, latency = bucket["key"], bucket["latency"]["values"]
    return DayStatistics(
        day=day_of(key["day"] * unit_ms),
        client_id=key["client_id"],
        workload_id=key["workload_id"],
        records=bucket["doc_count"],
        latency_p50_ms=latency["50.0"],
        latency_p95_ms=latency["95.0"],
        tokens_in=_sum(bucket["tokens_in"]),
        tokens_out=_sum(bucket["tokens_out"]),
        first_ms=_moment(bucket["first"], unit_ms),
        last_ms=_moment(bucket["last"], unit_ms),
    )


def _moment(extreme: dict[str, Any], unit_ms: int) -> int | None:
    return None if extreme["value"] is None else int(extreme["value"]) * unit_ms


def _sum(stats: dict[str, Any]) -> int | None:
    return int(stats["sum"]) if stats["count"] else None

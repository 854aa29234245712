"""A log query in Elasticsearch's words."""

from __future__ import annotations

from typing import Any

from include.flywheel.logs.elastic.fields import IDS, TIME, IdFields
from include.flywheel.logs.store import LogQuery
from include.flywheel.logs.timestamps import SECONDS_BELOW

IN_SECONDS = {"range": {TIME: {"lt": SECONDS_BELOW, "format": "epoch_millis"}}}
"""Documents whose writer gave seconds: the index took them for milliseconds of 1970 to 1973."""


def to_query(query: LogQuery, fields: IdFields) -> dict[str, Any]:
    """The documents of a log query, whatever its limit. Raises DataError when an id cannot be looked up."""
    ids = (query.client_id, query.workload_id)
    filters = [fields.exact(field, value) for field, value in zip(IDS, ids, strict=True)]
    if query.since_ms is not None or query.until_ms is not None:
        filters.append(_window(query.since_ms, query.until_ms))
    return {"bool": {"filter": filters}}


def _window(since_ms: int | None, until_ms: int | None) -> dict[str, Any]:
    """Both forms of a time, since the store cannot convert what others write.

    Times in seconds are indexed as whole ones: a fraction of a second is not told apart.
    """
    in_ms: dict[str, Any] = {"gte": max(since_ms or 0, SECONDS_BELOW), "format": "epoch_millis"}
    in_seconds: dict[str, Any] = {"lt": SECONDS_BELOW, "format": "epoch_millis"}
    if until_ms is not None:
        in_ms["lt"] = until_ms
        in_seconds["lt"] = min(SECONDS_BELOW, -(-until_ms // 1000))
    if since_ms is not None:
        in_seconds["gte"] = -(-since_ms // 1000)
    either = [{"range": {TIME: in_ms}}, {"range": {TIME: in_seconds}}]
    return {"bool": {"should": either, "minimum_should_match": 1}}


def having(query: dict[str, Any], condition: dict[str, Any]) -> dict[str, Any]:
    """Documents of `query` that fulfil the condition as well."""
    return {"bool": {"filter": [query, condition]}}


def lacking(query: dict[str, Any], condition: dict[str, Any]) -> dict[str, Any]:
    """Documents of `query` that do not fulfil the condition."""
    return {"bool": {"filter": [query], "must_not": [condition]}}

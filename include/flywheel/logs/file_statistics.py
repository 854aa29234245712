"""Statistics of the file log store, by an in-memory DuckDB over its files."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from include.flywheel.errors import DataError
from include.flywheel.logs.lines import BROKEN_GZIP, MAX_LINE_BYTES, open_lines
from include.flywheel.logs.partitions import log_files
from include.flywheel.logs.statistics import DayStatistics, StoreStatistics
from include.flywheel.logs.timestamps import DAY_MS, LAST_MS, SECONDS_BELOW

_BLOCK_BYTES = 1024 * 1024
_PATHS = [
    "$.timestamp",
    "$.client_id",
    "$.workload_id",
    "$.latency_ms",
    "$.tokens_in",
    "$.tokens_out",
    "$.response.usage.prompt_tokens",
    "$.response.usage.completion_tokens",
    "$.response.model",
    "$.request.model",
    "$.error",
    "$.response.choices[0].message.tool_calls[0]",
]
_RECORDS = f"""
    WITH lines AS (
        SELECT strlen(json) AS bytes, json_extract_string(json, {_PATHS!r}) AS field
        FROM read_json_objects(
            $files, format = 'newline_delimited', ignore_errors = true, maximum_object_size = {MAX_LINE_BYTES}
        )
    ), typed AS (
        SELECT
            bytes, field[2] AS client_id, field[3] AS workload_id,
            CASE WHEN try_cast(field[1] AS DOUBLE) < {SECONDS_BELOW} THEN 1000 ELSE 1 END
                * try_cast(field[1] AS DOUBLE) AS time_ms,
            try_cast(field[4] AS DOUBLE) AS latency_ms,
            coalesce(try_cast(field[5] AS BIGINT), try_cast(field[7] AS BIGINT)) AS tokens_in,
            coalesce(try_cast(field[6] AS BIGINT), try_cast(field[8] AS BIGINT)) AS tokens_out,
            coalesce(field[9], field[10]) AS model,
            field[11] IS NOT NULL AS failed, field[12] IS NOT NULL AS calls
        FROM lines
    ), records AS (
        SELECT *, (time_ms // {DAY_MS})::BIGINT AS day FROM typed
        WHERE time_ms > 0 AND time_ms <= {LAST_MS} AND client_id IS NOT NULL AND workload_id IS NOT NULL
            AND ($client IS NULL OR client_id = $client) AND ($workload IS NULL OR workload_id = $workload)
    )
"""  # noqa: S608
_BY_DAY = """
    SELECT
        day, client_id, workload_id, count(*), sum(bytes)::BIGINT, (count(*) FILTER (WHERE failed)),
        quantile_cont(latency_ms, 0.5), quantile_cont(latency_ms, 0.95),
        sum(tokens_in)::BIGINT, sum(tokens_out)::BIGINT, histogram(model),
        min(time_ms)::BIGINT, max(time_ms)::BIGINT, (count(*) FILTER (WHERE calls))
    FROM records GROUP BY ALL ORDER BY 1, 2, 3
"""
NOT_COUNTED = (
    "Lines that are damaged, or have no ids or no time, are not counted here: `load` and a run's ledger "
    "count them."
)


def file_statistics(
    root: Path, client_id: str | None = None, workload_id: str | None = None
) -> StoreStatistics:
    """Every day of the store, or of one client and workload.

    Compressed files that are damaged are left out and named. Raises DataError when the files cannot be read.
    """
    paths = [file.path for file in log_files(root)]
    notes = [NOT_COUNTED]
    try:
        rows = _query(paths, client_id, workload_id)
    except duckdb.Error as error:
        broken = [path for path in paths if _is_broken(path)]
        if not broken:
            raise DataError(f"{root}: the files cannot be read ({str(error)[:300]}); run again") from error
        names = ", ".join(str(path.relative_to(root)) for path in broken)
        notes.append(f"Left out, because they are truncated or damaged: {names}.")
        rows = _query([path for path in paths if path not in broken], client_id, workload_id)
    return StoreStatistics(where=str(root), days=[_day(row) for row in rows], notes=notes)


def _query(paths: Sequence[Path], client_id: str | None, workload_id: str | None) -> list[tuple[Any, ...]]:
    filled = [str(path) for path in paths if path.stat().st_size]
    if not filled:
        return []
    with duckdb.connect() as connection:
        values = {"files": filled, "client": client_id, "workload": workload_id}
        found: list[tuple[Any, ...]] = connection.execute(_RECORDS + _BY_DAY, values).fetchall()
        return found


def _is_broken(path: Path) -> bool:
    if path.suffix != ".gz":
        return False
    try:
        with open_lines(path) as content:
            if not hasattr(content, "mtime"):
                return True
            while content.read(_BLOCK_BYTES):
                pass
    except BROKEN_GZIP:
        return True
    return False


def _day(row: tuple[Any, ...]) -> DayStatistics:
    day, client_id, workload_id, records, size, errors, p50, p95, tokens_in, tokens_out, models, *rest = row
    first_ms, last_ms, tool_calls = rest
    return DayStatistics(
        day=datetime.fromtimestamp(day * DAY_MS / 1000, tz=UTC).strftime("%Y-%m-%d"),
        client_id=client_id,
        workload_id=workload_id,
        records=records,
        bytes=size,
        errors=errors,
        latency_p50_ms=p50,
        latency_p95_ms=p95,
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        models=dict(models) if models else {},
        first_ms=first_ms,
        last_ms=last_ms,
        tool_calls=tool_calls,
    )

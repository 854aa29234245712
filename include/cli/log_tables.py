"""Tables of log statistics for people."""

from __future__ import annotations

from collections.abc import Sequence

from include.flywheel.logs.statistics import DayStatistics

_HEAD = (
    "day", "client", "workload", "records", "bytes", "errors", "p50 ms", "p95 ms", "tokens in", "tokens "
    "out", "models",
)  # fmt: skip
_WORDS = {0, 1, 2, 10}
_UNKNOWN = "-"
_NAMED_MODELS = 3


def statistics_table(days: Sequence[DayStatistics]) -> list[str]:
    """Aligned lines, a head first; `-` where the store cannot tell."""
    rows = [_HEAD, *map(_row, days)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    return [
        "  ".join(
            text.ljust(width) if column in _WORDS else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def size(length: int) -> str:
    """`812 B`, `1.4 MiB`."""
    value = float(length)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def _row(day: DayStatistics) -> tuple[str, ...]:
    counts = (day.errors, day.latency_p50_ms, day.latency_p95_ms, day.tokens_in, day.tokens_out)
    return (
        day.day,
        day.client_id,
        day.workload_id,
        f"{day.records:,}",
        _UNKNOWN if day.bytes is None else size(day.bytes),
        *(_UNKNOWN if count is None else f"{count:,.0f}" for count in counts),
        _UNKNOWN if day.models is None else _models(day.models),
    )


def _models(models: dict[str, int]) -> str:
    ranked = sorted(models.items(), key=lambda item: (-item[1], item[0]))
    named = [f"{name} {count:,}" for name, count in ranked[:_NAMED_MODELS]]
    return ", ".join(named) + (f", {len(ranked) - _NAMED_MODELS} more" if len(ranked) > _NAMED_MODELS else "")

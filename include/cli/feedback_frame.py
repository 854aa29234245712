"""One frame of the feedback dashboard, as wide as the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from include.cli.feedback_overview import DAYS, Overview
from include.flywheel.evaluation.words import number, percent
from include.flywheel.feedback.proportions import Share, wilson

SHOWN = 12
"""Models, and intents, that are shown before the rest is only counted."""

_FIXED_COLUMNS = 58
"""What a row takes beside its bar."""


@dataclass(frozen=True)
class Trouble:
    """Since when, and why, the database gives no answer."""

    since: datetime
    reason: str


def frame(overview: Overview | None, trouble: Trouble | None, width: int) -> RenderableType:
    """The frame.

    :param overview: what was read last; None: nothing yet.
    :param trouble: what is wrong now.
    :param width: columns of the terminal.
    """
    parts: list[RenderableType] = [_status(overview, trouble)]
    if overview is not None:
        bar = max(4, min(40, width - _FIXED_COLUMNS))
        parts += [
            Rule(f"last {DAYS} days", align="left", style="dim"),
            _totals(overview),
            Rule("thumbs-up by model (all time, 95 % Wilson interval)", align="left", style="dim"),
            _shares(overview.models, bar),
            Rule("by intent", align="left", style="dim"),
            _shares(overview.intents, bar),
            Rule(f"what was wrong, last {DAYS} days", align="left", style="dim"),
            _categories(overview),
        ]
    return Group(*parts)


def _status(overview: Overview | None, trouble: Trouble | None) -> RenderableType:
    if trouble is not None:
        shown = (
            "nothing was read yet" if overview is None else f"below: as of {overview.read_at:%H:%M:%S} UTC"
        )
        line = f"the database does not answer since {trouble.since:%H:%M:%S} UTC ({trouble.reason}); {shown}"
        return Text(line, style="red")
    if overview is None:
        return Text("connecting …")
    behind = overview.migrations_known - overview.migrations_applied
    schema = "up to date" if not behind else f"{abs(behind)} migrations {'behind' if behind > 0 else 'ahead'}"
    return Text(
        f"{overview.where}: answers in {1000 * overview.answered_seconds:.0f} ms, schema {schema}, "
        f"{overview.read_at:%Y-%m-%d %H:%M:%S} UTC",
        style="green" if not behind else "yellow",
    )


def _totals(overview: Overview) -> RenderableType:
    stats = overview.stats
    share = Share(stats.positive_count, stats.total_feedback)
    liked = "" if not share.total else f", {percent(share.value)} {_interval(share)}"
    counted = f"{stats.total_feedback:,} ratings: {stats.positive_count:,} up, {stats.negative_count:,} down"
    return Text(f"{counted}{liked}; {stats.unique_users:,} users, {stats.unique_sessions:,} sessions")


def _shares(rows: Sequence[tuple[str, Share]], bar: int) -> RenderableType:
    if not rows:
        return Text("no feedback", style="dim")
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(max_width=26, no_wrap=True, overflow="ellipsis")
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    for name, share in rows[:SHOWN]:
        table.add_row(
            escape(name), _bar(share, bar), percent(share.value), _interval(share), f"{share.total:,}"
        )
    if len(rows) > SHOWN:
        table.add_row(f"and {len(rows) - SHOWN} more")
    return table


def _bar(share: Share, width: int) -> Text:
    """Full up to the share; the interval in another shade."""
    low, high = (round(width * end) for end in wilson(share))
    at = min(max(round(width * share.value), low), high)
    bar = Text("█" * low, style="green")
    bar.append("▓" * (at - low), style="green")
    bar.append("░" * (high - at), style="green")
    return bar.append("·" * (width - high), style="dim")


def _interval(share: Share) -> str:
    low, high = wilson(share)
    return f"[{number(low)}, {number(high)}]"


def _categories(overview: Overview) -> RenderableType:
    counts = overview.stats.category_counts
    if not counts:
        return Text("nobody said", style="dim")
    ranked = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
    return Text(", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in ranked))

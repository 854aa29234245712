"""A run's timeline as text: a line for each stage, a column for each stretch of time."""

from __future__ import annotations

from collections.abc import Mapping

from include.cli.runs_words import duration
from include.flywheel.runs.states import StageStatus
from include.flywheel.runs.timeline import Lane, Span, SpanKind, Timeline

_UNICODE = {SpanKind.GPU_WAIT: "░", SpanKind.PENDING: "▒", SpanKind.WORK: "█", SpanKind.SERVED: "─"}
_ASCII = {SpanKind.GPU_WAIT: ".", SpanKind.PENDING: "~", SpanKind.WORK: "#", SpanKind.SERVED: "-"}
_ENDED_BADLY = {StageStatus.FAILED, StageStatus.CANCELLED}
_BADLY = {True: "✗", False: "x"}
_MOST_COLUMNS = 160
_LEAST_COLUMNS = 16
_INDENT = "  "


def gantt_lines(picture: Timeline, width: int, *, unicode: bool) -> list[str]:
    """The picture in `width` columns, longer lines only below about 60; block characters with `unicode`."""
    lanes = [lane for group in picture.groups for lane in group.lanes]
    if not lanes:
        return ["nothing has begun yet"]
    label = max(len(lane.label) for lane in lanes)
    ends = {id(lane): _end(lane) for lane in lanes}
    room = width - len(_INDENT) - label - 4 - max(map(len, ends.values()))
    columns = max(min(room, _MOST_COLUMNS), _LEAST_COLUMNS)
    seconds = max(picture.seconds, 0.001) / columns
    glyphs = _UNICODE if unicode else _ASCII
    lines = [f"{duration(picture.seconds)} in all; one column is {duration(seconds)}"]
    for group in picture.groups:
        lines.append(group.name)
        for lane in group.lanes:
            bar = _bar(picture, lane, columns, glyphs, unicode=unicode)
            lines.append(f"{_INDENT}{lane.label:<{label}} |{bar}| {ends[id(lane)]}".rstrip())
    return [*lines, *_legend(glyphs, width, _BADLY[unicode])]


def _bar(
    picture: Timeline, lane: Lane, columns: int, glyphs: Mapping[SpanKind, str], *, unicode: bool
) -> str:
    """What took most of each column; something, however short, where anything was."""
    seconds = max(picture.seconds, 0.001) / columns
    cells = [" "] * columns
    offsets = [(span, (span.start - picture.start).total_seconds()) for span in lane.spans]
    for column in range(columns):
        begin, end = column * seconds, (column + 1) * seconds
        shares: dict[SpanKind, float] = {}
        for span, offset in offsets:
            share = min(end, offset + span.seconds) - max(begin, offset)
            if share > 0:
                shares[span.kind] = shares.get(span.kind, 0.0) + share
        if shares:
            cells[column] = glyphs[max(shares, key=lambda kind: shares[kind])]
    if offsets and not "".join(cells).strip():
        span, offset = offsets[-1]
        cells[min(int(offset / seconds), columns - 1)] = glyphs[span.kind]
    if offsets and lane.status in _ENDED_BADLY:
        cells[_column_of_end(offsets[-1], seconds, columns)] = _BADLY[unicode]
    return "".join(cells)


def _column_of_end(last: tuple[Span, float], seconds: float, columns: int) -> int:
    """The column in which the span ends; one that ends where a column begins, ends in the one before."""
    span, offset = last
    first, end = int(offset / seconds), offset + span.seconds
    column = int(end / seconds)
    if column > first and column * seconds >= end:
        column -= 1
    return min(column, columns - 1)


def _end(lane: Lane) -> str:
    """How long it took, waiting included, and how it ended."""
    spans = [span for span in lane.spans if span.kind is not SpanKind.SERVED]
    words = [] if lane.status is None else [lane.status.value]
    if spans:
        words.insert(0, duration(sum(span.seconds for span in spans)))
    return " ".join(words)


def _legend(glyphs: Mapping[SpanKind, str], width: int, badly: str) -> list[str]:
    entries = [f"{glyph} {kind.value}" for kind, glyph in glyphs.items()] + [f"{badly} failed or cancelled"]
    lines = [""]
    for entry in entries:
        if lines[-1] and len(lines[-1]) + 3 + len(entry) > width:
            lines.append("")
        lines[-1] += ("   " if lines[-1] else "") + entry
    return lines

"""The picture of a timeline: what is drawn where, at any width, with block characters or without."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.cli.runs_gantt import gantt_lines
from include.cli.runs_words import between, duration, moment
from include.flywheel.runs.states import StageStatus
from include.flywheel.runs.timeline import Group, Lane, Span, SpanKind, Timeline

ZERO = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def span(kind: SpanKind, start: float, end: float) -> Span:
    return Span(kind, ZERO + timedelta(seconds=start), ZERO + timedelta(seconds=end))


def picture(seconds: float, *lanes: Lane) -> Timeline:
    return Timeline(ZERO, ZERO + timedelta(seconds=seconds), (Group("meta/a", lanes),))


def bars(lines: list[str]) -> dict[str, str]:
    return {line.split("|")[0].strip(): line.split("|")[1] for line in lines if line.count("|") == 2}


TWO = picture(
    40,
    Lane(
        "customize",
        (span(SpanKind.GPU_WAIT, 0, 10), span(SpanKind.PENDING, 10, 20), span(SpanKind.WORK, 20, 40)),
        StageStatus.COMPLETED,
    ),
    Lane("deploy", (span(SpanKind.WORK, 0, 10), span(SpanKind.SERVED, 10, 30)), StageStatus.COMPLETED),
)


def test_each_kind_of_time_has_its_own_mark() -> None:
    drawn = bars(gantt_lines(TWO, 77, unicode=True))
    assert len(drawn["customize"]) % 4 == 0
    quarter = len(drawn["customize"]) // 4
    assert drawn["customize"] == "░" * quarter + "▒" * quarter + "█" * 2 * quarter
    assert drawn["deploy"] == "█" * quarter + "─" * 2 * quarter + " " * quarter


def test_without_block_characters_everything_is_ascii() -> None:
    lines = gantt_lines(TWO, 77, unicode=False)
    assert all(line.isascii() for line in lines)
    assert set(bars(lines)["customize"]) == {".", "~", "#"}
    assert any(". waiting for GPUs" in line and "# at work" in line for line in lines)


def test_a_line_says_how_long_it_took_without_the_time_that_it_served() -> None:
    lines = gantt_lines(TWO, 77, unicode=True)
    assert lines[0] == "40 s in all; one column is 0.8 s"
    [customize, deploy] = [line for line in lines if line.count("|") == 2]
    assert customize.endswith("| 40 s completed")
    assert deploy.endswith("| 10 s completed")


@pytest.mark.parametrize("status", [StageStatus.FAILED, StageStatus.CANCELLED])
def test_a_bad_end_is_marked_where_it_was(status: StageStatus) -> None:
    lane = Lane("base_eval", (span(SpanKind.WORK, 0, 50),), status)
    for unicode, mark in ((True, "✗"), (False, "x")):
        bar = bars(gantt_lines(picture(100, lane), 80, unicode=unicode))["base_eval"]
        assert bar.rstrip()[-1] == mark
        assert bar.index(mark) == pytest.approx(len(bar) / 2, abs=1)


def test_what_was_short_is_seen_all_the_same() -> None:
    short = Lane("prepare", (span(SpanKind.WORK, 3600, 3600),))
    long = Lane("decide", (span(SpanKind.WORK, 0, 7200),))
    assert bars(gantt_lines(picture(7200, short, long), 80, unicode=True))["prepare"].strip() == "█"


def test_nothing_yet_is_said() -> None:
    assert gantt_lines(Timeline(ZERO, ZERO, ()), 80, unicode=True) == ["nothing has begun yet"]


kinds = st.sampled_from(list(SpanKind))
spans = st.builds(lambda k, a, b: span(k, min(a, b), max(a, b)), kinds, st.floats(0, 900), st.floats(0, 900))
lanes = st.lists(
    st.builds(
        lambda several, status: Lane("customized_eval", tuple(several), status),
        st.lists(spans, max_size=4),
        st.sampled_from([None, *StageStatus]),
    ),
    min_size=1,
    max_size=4,
)


@given(lanes, st.integers(60, 250), st.booleans())
def test_no_line_is_longer_than_the_terminal_and_no_lane_with_time_is_empty(
    several: list[Lane], width: int, unicode: bool
) -> None:
    lines = gantt_lines(picture(900, *several), width, unicode=unicode)
    assert max(map(len, lines)) <= width
    drawn = [line.split("|")[1] for line in lines if line.count("|") == 2]
    assert len({len(bar) for bar in drawn}) == 1
    for lane, bar in zip(several, drawn, strict=True):
        assert bool(bar.strip()) == bool(lane.spans)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0.0 s"),
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (252, "4 min 12 s"),
        (3599.7, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_lengths_of_time(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_times_of_documents() -> None:
    assert moment("2026-03-02T10:30:00.900+01:00") == "2026-03-02 09:30:00"
    assert moment(None) == between(None, "2026-03-02T09:30:00+00:00") == "-"
    assert between("2026-03-02T09:30:00.000+00:00", "2026-03-02T09:31:00.500+00:00") == "1 min 00 s"

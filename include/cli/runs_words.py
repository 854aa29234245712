"""Times, lengths of time and ids as the commands about runs print them."""

from __future__ import annotations

from datetime import UTC, datetime

SHORT_DIGEST = 12


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `4 min 12 s`, `2 h 05 min`."""
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min"


def between(start: str | None, end: str | None) -> str:
    """The length between two times of a document; `-` where one is missing."""
    if start is None or end is None:
        return "-"
    return duration((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds())


def moment(at: str | None) -> str:
    """A time of a document to the second, UTC; `-` where there is none."""
    if at is None:
        return "-"
    return f"{datetime.fromisoformat(at).astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def short(digest: str) -> str:
    """The beginning of a digest."""
    return digest[:SHORT_DIGEST]

"""Scores in words: percentages and points, as sentences and tables show them."""

from __future__ import annotations

MINUS = "\N{MINUS SIGN}"


def percent(fraction: float) -> str:
    """0.817 as `81.7 %`."""
    return f"{number(fraction)} %"


def number(fraction: float) -> str:
    """0.817 as `81.7`: hundredths with one decimal, without a unit."""
    return _signed(fraction, plus=False)


def points(difference: float) -> str:
    """-0.061 as `-6.1` with a true minus sign: hundredths with one decimal, signed unless zero."""
    return _signed(difference, plus=True)


def _signed(fraction: float, *, plus: bool) -> str:
    hundredths = round(100 * fraction, 1)
    if hundredths == 0:
        return "0.0"
    sign = MINUS if hundredths < 0 else "+" if plus else ""
    return f"{sign}{abs(hundredths):.1f}"

"""Which models are flagged, and how often by mistake."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from include.flywheel.feedback.alerts import AlertSettings, Windows, compare
from include.flywheel.feedback.proportions import Share

WINDOWS = Windows.until(datetime(2026, 11, 22, 2, tzinfo=UTC), 7)


def test_the_windows_lie_side_by_side() -> None:
    assert WINDOWS.before.isoformat() == "2026-11-08T02:00:00+00:00"
    assert WINDOWS.between.isoformat() == "2026-11-15T02:00:00+00:00"


def test_a_fall_is_flagged_and_a_rise_is_not() -> None:
    before = {"fallen": Share(900, 1000), "steady": Share(900, 1000), "better": Share(700, 1000)}
    after = {"fallen": Share(820, 1000), "steady": Share(896, 1000), "better": Share(900, 1000)}
    report = compare(before, after, WINDOWS, AlertSettings())
    assert [model.model for model in report.fallen] == ["fallen"]
    assert report.models[0].words().startswith("fallen: FELL, 90.0 % → 82.0 % [79.5")
    assert "no fall" in report.models[1].words()


def test_too_few_ratings_are_not_judged_and_cost_the_others_nothing() -> None:
    before = {"young": Share(90, 99), "a": Share(95, 100), "gone": Share(5, 5)}
    after = {"young": Share(0, 99), "a": Share(86, 100), "new": Share(1, 500)}
    report = compare(before, after, WINDOWS, AlertSettings())
    judged = {model.model: model.p_value for model in report.models}
    assert [name for name, p_value in judged.items() if p_value is not None] == ["a"]
    assert report.models[0].adjusted_p_value == report.models[0].p_value
    assert [model.model for model in report.fallen] == ["a"]
    assert "too few ratings to judge (99 before, 99 now)" in report.models[-1].words()


def test_more_models_need_a_clearer_fall() -> None:
    before = {f"m{number}": Share(900, 1000) for number in range(20)}
    after = before | {"m0": Share(875, 1000)}
    alone = compare({"m0": before["m0"]}, {"m0": after["m0"]}, WINDOWS, AlertSettings())
    assert [model.model for model in alone.fallen] == ["m0"]
    assert compare(before, after, WINDOWS, AlertSettings()).fallen == []


@pytest.mark.parametrize("models", [1, 5, 20])
def test_any_false_alarm_in_a_report_is_as_rare_as_promised(models: int) -> None:
    rng, reports, alarms = np.random.default_rng(11), 2_000, 0
    shares = rng.uniform(0.6, 0.97, size=models)
    for _ in range(reports):
        drawn = rng.binomial(300, shares, size=(2, models)).tolist()
        windows = [{str(n): Share(count, 300) for n, count in enumerate(counts)} for counts in drawn]
        alarms += bool(compare(windows[0], windows[1], WINDOWS, AlertSettings()).fallen)
    assert alarms / reports <= 0.05 + 3.3 * (0.05 * 0.95 / reports) ** 0.5


def test_a_real_fall_is_found() -> None:
    rng, found = np.random.default_rng(3), 0
    for _ in range(300):
        before, after = rng.binomial(1000, [0.9, 0.84]).tolist()
        found += bool(
            compare({"m": Share(before, 1000)}, {"m": Share(after, 1000)}, WINDOWS, AlertSettings()).fallen
        )
    assert found / 300 > 0.9

"""Which models please fewer users than they did in the window before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from include.flywheel.evaluation.words import percent, points
from include.flywheel.feedback.proportions import Share, fell, holm, wilson


class AlertSettings(BaseModel):
    """What counts as a fall."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    days: int = Field(default=7, ge=1, le=366, description="Length of each of the two windows, days.")
    alpha: float = Field(
        default=0.05, gt=0, lt=0.5, description="Chance that any model is flagged although none fell."
    )
    min_feedback: int = Field(
        default=100, ge=10, description="Ratings that a model needs in each window to be judged."
    )


class Windows(BaseModel):
    """Two windows side by side: from `before` up to `between`, and from there up to `end`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    before: AwareDatetime
    between: AwareDatetime
    end: AwareDatetime

    @classmethod
    def until(cls, end: datetime, days: int) -> Windows:
        """The last `days` before `end`, and as many before them."""
        return cls(before=end - timedelta(days=2 * days), between=end - timedelta(days=days), end=end)


class ModelTrend(BaseModel):
    """One model's share of thumbs-up in both windows."""

    model_config = ConfigDict(extra="forbid")

    model: str
    before_positive: int
    before_total: int
    after_positive: int
    after_total: int
    p_value: float | None = Field(default=None, description="One-sided; null: too few ratings to judge.")
    adjusted_p_value: float | None = Field(default=None, description="The same, after Holm's correction.")
    fell: bool = False

    @property
    def before(self) -> Share:
        """The window before."""
        return Share(self.before_positive, self.before_total)

    @property
    def after(self) -> Share:
        """The last window."""
        return Share(self.after_positive, self.after_total)

    def words(self) -> str:
        """The model's line in the log and in the notification."""
        if self.p_value is None or self.adjusted_p_value is None:
            return (
                f"{self.model}: too few ratings to judge ({self.before_total} before, {self.after_total} now)"
            )
        low, high = (percent(end) for end in wilson(self.after))
        change = f"{percent(self.before.value)} → {percent(self.after.value)} [{low}, {high}]"
        said = f"{points(self.after.value - self.before.value)} points, p = {self.adjusted_p_value:.3g}"
        return f"{self.model}: {'FELL' if self.fell else 'no fall'}, {change}, {said} (Holm)"


class AlertReport(BaseModel):
    """Every model that has ratings in either window, those that fell first."""

    model_config = ConfigDict(extra="forbid")

    windows: Windows
    settings: AlertSettings
    models: list[ModelTrend]

    @property
    def fallen(self) -> list[ModelTrend]:
        """The models that are flagged."""
        return [model for model in self.models if model.fell]


def compare(
    before: Mapping[str, Share], after: Mapping[str, Share], windows: Windows, settings: AlertSettings
) -> AlertReport:
    """Test every model with enough ratings in both windows against itself.

    The correction is over the models that are tested; `alpha` is the chance of any false alarm in one report.
    Each rating counts as independent: a single user who rates often weighs as much as many.
    """
    nothing = Share(0, 0)
    trends = [
        ModelTrend(
            model=model,
            before_positive=before.get(model, nothing).positive,
            before_total=before.get(model, nothing).total,
            after_positive=after.get(model, nothing).positive,
            after_total=after.get(model, nothing).total,
        )
        for model in sorted({*before, *after})
    ]
    judged = [one for one in trends if min(one.before_total, one.after_total) >= settings.min_feedback]
    p_values = [fell(one.before, one.after) for one in judged]
    for one, p_value, adjusted in zip(judged, p_values, holm(p_values), strict=True):
        one.p_value, one.adjusted_p_value = p_value, adjusted
        one.fell = adjusted <= settings.alpha
    trends.sort(key=lambda one: (not one.fell, 2.0 if one.p_value is None else one.p_value, one.model))
    return AlertReport(windows=windows, settings=settings, models=trends)


_SHARES = """
SELECT model, count(*) FILTER (WHERE rating = 1 AND "timestamp" < %(between)s),
       count(*) FILTER (WHERE "timestamp" < %(between)s),
       count(*) FILTER (WHERE rating = 1 AND "timestamp" >= %(between)s),
       count(*) FILTER (WHERE "timestamp" >= %(between)s)
FROM feedback WHERE "timestamp" >= %(before)s AND "timestamp" < %(end)s
GROUP BY model
"""


def check_models(connection: Any, windows: Windows, settings: AlertSettings) -> AlertReport:
    """The same, of the ratings in the table.

    :param connection: a psycopg2 connection.
    """
    with connection.cursor() as cursor:
        cursor.execute(_SHARES, windows.model_dump())
        found = cursor.fetchall()
    before = {row[0]: Share(row[1], row[2]) for row in found}
    after = {row[0]: Share(row[3], row[4]) for row in found}
    return compare(before, after, windows, settings)

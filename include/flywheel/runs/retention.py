"""How long logs, staging files, data sets and runs are kept. Ages are whole days; None is for ever."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from include.flywheel.config.base import StrictModel, read_yaml, validate

FILE = Path(__file__).parents[1] / "config" / "upkeep.yaml"

Days = Annotated[int, Field(ge=1, le=36_500, strict=True)]


class WorkloadLogs(StrictModel):
    """The age of one workload's records, in place of the general one."""

    client_id: str = Field(min_length=1)
    workload_id: str = Field(min_length=1)
    days: Days | None

    @property
    def key(self) -> tuple[str, str]:
        """Client and workload."""
        return self.client_id, self.workload_id


class LogRetention(StrictModel):
    """How long production records are kept, by workload."""

    days: Days | None = None
    workloads: tuple[WorkloadLogs, ...] = ()

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        keys = [one.key for one in self.workloads]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise ValueError(
                f"client {twice[0]!r}, workload {twice[1]!r} stands here twice: keep one of them"
            )
        return self

    def days_of(self, client_id: str, workload_id: str) -> int | None:
        """The age of the workload's records."""
        own = [one.days for one in self.workloads if one.key == (client_id, workload_id)]
        return own[0] if own else self.days


class Retention(StrictModel):
    """How long each kind of thing is kept after it was written, or after its run was over."""

    logs: LogRetention = LogRetention()
    staging_days: Days | None = 2
    datasets_days: Days | None = 90
    runs_days: Days | None = 365
    feedback_days: Days | None = None
    reports_days: Days | None = 90
    idempotency_keys_days: Days | None = 30

    @model_validator(mode="after")
    def _runs_outlive_their_data_sets(self) -> Self:
        if self.runs_days is not None and (self.datasets_days or self.runs_days + 1) > self.runs_days:
            raise ValueError(
                f"`datasets_days` is {self.datasets_days} and `runs_days` is {self.runs_days}: a data set "
                "without its run is removed as an orphan, so set `datasets_days` to at most `runs_days`, or "
                "`runs_days` to null"
            )
        return self


class UpkeepSettings(StrictModel):
    """What the hourly clean-up goes by."""

    grace_minutes: int = Field(
        default=10,
        ge=0,
        strict=True,
        description="So long is left alone what carries a run that is not written down.",
    )
    retention: Retention = Retention()


def load_upkeep_settings(path: Path = FILE) -> UpkeepSettings:
    """The settings of the file. Raises ConfigError that names each faulty field."""
    return validate(UpkeepSettings, read_yaml(path), path.name)

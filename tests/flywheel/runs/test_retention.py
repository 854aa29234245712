"""The ages of things: what the file may say, and what is refused with its remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from include.flywheel.errors import ConfigError
from include.flywheel.runs.retention import Retention, UpkeepSettings, load_upkeep_settings


def test_our_own_file_says_the_defaults() -> None:
    assert load_upkeep_settings() == UpkeepSettings()
    assert Retention().logs.days is None


def test_a_workload_may_have_an_age_of_its_own() -> None:
    workloads = [
        {"client_id": "c", "workload_id": "short", "days": 7},
        {"client_id": "c", "workload_id": "long", "days": None},
    ]
    logs = Retention.model_validate({"logs": {"days": 30, "workloads": workloads}}).logs
    assert [logs.days_of("c", name) for name in ("short", "long", "other")] == [7, None, 30]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"grace": 1}, "`grace` = 1: unknown key"),
        ({"grace_minutes": -1}, "`grace_minutes` = -1"),
        ({"retention": {"staging_days": 0}}, "`retention.staging_days` = 0"),
        ({"retention": {"runs_days": "1y"}}, "`retention.runs_days` = '1y'"),
        ({"retention": {"datasets_days": 400}}, "set `datasets_days` to at most `runs_days`"),
        ({"retention": {"datasets_days": None}}, "`runs_days` to null"),
        (
            {"retention": {"logs": {"workloads": [{"client_id": "c", "workload_id": "w"}]}}},
            "days` is missing",
        ),
        (
            {"retention": {"logs": {"workloads": [{"client_id": "c", "workload_id": "w", "days": 1}] * 2}}},
            "client 'c', workload 'w' stands here twice",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(content: dict[str, Any], says: str, tmp_path: Path) -> None:
    file = tmp_path / "upkeep.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError) as refused:
        load_upkeep_settings(file)
    assert str(refused.value).startswith("upkeep.yaml: ")
    assert says in str(refused.value)


@pytest.mark.parametrize(("datasets", "runs"), [(None, None), (90, None), (90, 90), (1, 365)])
def test_a_run_may_outlive_its_data_set(datasets: int | None, runs: int | None) -> None:
    kept = Retention(datasets_days=datasets, runs_days=runs)
    assert (kept.datasets_days, kept.runs_days) == (datasets, runs)

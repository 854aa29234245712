"""Settings for speed and recovery: the same in the code, in docker-compose.yaml and in Helm's values."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.configuration import conf
from airflow.jobs import scheduler_job_runner

from include.local_stack.airflow_config import PRODUCTION_SETTINGS, SHARED_SETTINGS, environment
from include.local_stack.layout import Layout, Ports

ROOT = Path(__file__).parents[2]
PRODUCTION = SHARED_SETTINGS | PRODUCTION_SETTINGS
UNDOCUMENTED = "AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES"
# Sections of providers that are part of the image only.
OF_PROVIDERS = {"celery", "kubernetes_executor", "fab"}
# What differs with pods in place of workers, and why, stands in the file itself.
WITH_PODS = {
    "AIRFLOW__CORE__EXECUTOR",
    "AIRFLOW__CORE__PARALLELISM",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT",
    UNDOCUMENTED,
}


def merged(*files: str) -> dict[str, Any]:
    """As Helm merges several values files: maps deeply, later files win."""

    def merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
        both = {
            key: merge(below[key], above[key]) for key in below.keys() & above if isinstance(below[key], dict)
        }
        return below | above | both

    found: dict[str, Any] = {}
    for file in files:
        found = merge(found, yaml.safe_load((ROOT / "deploy" / file).read_text(encoding="utf-8")))
    return found


def as_environment(values: dict[str, Any]) -> dict[str, str]:
    """Values for Helm in the form of environment variables."""
    settings = {
        f"AIRFLOW__{section.upper()}__{key.upper()}": value
        for section, options in values["config"].items()
        for key, value in options.items()
    }
    settings["AIRFLOW__CORE__EXECUTOR"] = values["executor"]
    return settings | {one["name"]: one["value"] for one in values["env"]}


def differences(found: dict[str, str]) -> dict[str, tuple[str, str | None]]:
    return {name: (value, found.get(name)) for name, value in PRODUCTION.items() if found.get(name) != value}


def test_compose_has_the_codes_settings(services: dict[str, dict[str, Any]]) -> None:
    airflow = {name: one for name, one in services.items() if name.startswith("airflow-") or name == "flower"}
    assert len(airflow) == 7
    for name, one in airflow.items():
        plain = {
            key: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value)) for key, value in one["environment"].items()
        }
        assert differences(plain) == {}, name


def test_helm_has_the_codes_settings() -> None:
    assert differences(as_environment(merged("helm-values.yaml"))) == {}


def test_with_pods_only_what_is_named_differs() -> None:
    values = merged("helm-values.yaml", "helm-values-kubernetes.yaml")
    assert set(differences(as_environment(values))) == WITH_PODS


@pytest.mark.parametrize("name", sorted(PRODUCTION.keys() - SHARED_SETTINGS.keys() | {"DO_NOT_TRACK"}))
def test_a_drift_is_seen(name: str) -> None:
    found = as_environment(merged("helm-values.yaml")) | {name: "drifted"}
    assert set(differences(found)) == {name}


def test_every_option_is_one_that_airflow_reads(services: dict[str, dict[str, Any]]) -> None:
    named = set(PRODUCTION) | set(services["airflow-worker"]["environment"])
    named |= set(as_environment(merged("helm-values.yaml", "helm-values-kubernetes.yaml")))
    options = [name.lower().split("__", 2)[1:] for name in named if name.startswith("AIRFLOW__")]
    known = conf.configuration_description
    unknown = {
        f"{section}.{key}"
        for section, key in options
        if section not in OF_PROVIDERS and key not in known.get(section, {}).get("options", {})
    }
    assert unknown == {"scheduler.num_stuck_in_queued_retries"}
    # Airflow reads this one and documents it nowhere; it must notice when that ends.
    assert '"num_stuck_in_queued_retries"' in inspect.getsource(scheduler_job_runner)


def test_the_local_stack_shares_them(tmp_path: Path) -> None:
    secrets = {"jwt": "j", "fernet": "f", "api": "a"}
    local = environment(Layout(tmp_path), Ports(), "postgresql://x", secrets)
    assert {name for name, value in SHARED_SETTINGS.items() if local.get(name) != value} == set()


def test_heartbeats_are_quicker_than_the_limits_that_watch_them() -> None:
    numbers = ((name, value) for name, value in PRODUCTION.items() if value.replace(".", "", 1).isdigit())
    number = {name.removeprefix("AIRFLOW__"): float(value) for name, value in numbers}
    limit = number["SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT"]
    assert number["WORKERS__MIN_HEARTBEAT_INTERVAL"] * 10 < limit
    for section, part in (("SCHEDULER", "SCHEDULER"), ("TRIGGERER", "TRIGGERER")):
        threshold = number[f"{section}__{part}_HEALTH_CHECK_THRESHOLD"]
        assert threshold >= 10 * number[f"{section}__JOB_HEARTBEAT_SEC"]
    # A call that is tried for longer than that would come back to a task that was given up.
    tries, pause = (number[f"WORKERS__EXECUTION_API_RETR{end}"] for end in ("IES", "Y_WAIT_MAX"))
    assert 30 <= (tries - 1) * pause / 2 <= limit

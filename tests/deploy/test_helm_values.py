"""Values for Airflow's chart: names that it has, secrets by reference, two of what would be missed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CELERY, PODS = "deploy/helm-values.yaml", "deploy/helm-values-kubernetes.yaml"


def load(path: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    return found


def unknown(values: Any, known: Any, at: str = "") -> list[str]:
    if known is True:
        return []
    if not isinstance(values, dict):
        return [at]
    found = [f"{at}.{key}" for key in values if key not in known]
    return found + [
        one for key in values if key in known for one in unknown(values[key], known[key], f"{at}.{key}")
    ]


@pytest.mark.parametrize("path", [CELERY, PODS])
def test_names_are_the_charts(path: str) -> None:
    known = load("tests/deploy/chart_keys.yaml")
    assert unknown(load(path), known) == []
    assert unknown({"worker": {}, "triggerer": {"replica": 2}}, known) == [".worker", ".triggerer.replica"]


@pytest.mark.parametrize("path", [CELERY, PODS])
def test_no_secret_stands_in_the_files(path: str) -> None:
    text = (ROOT / path).read_text()
    assert not re.search(r"^\s*\w*(password|pass|secret|fernetKey|jwtSecret):\s*\S", text, re.M | re.I)
    assert "://" not in re.sub(r"(https|s3)://[\w./-]*…?", "", text)


def test_what_holds_the_state_is_not_the_charts() -> None:
    values = load(CELERY)
    assert not values["postgresql"]["enabled"]
    assert not values["redis"]["enabled"]
    # The chart's own first user is admin with the password admin.
    assert not values["createUserJob"]["enabled"]


def test_no_single_pod_stops_what_waits() -> None:
    values = load(CELERY)
    assert min(values[part]["replicas"] for part in ("apiServer", "scheduler", "triggerer")) >= 2
    celery = values["workers"]["celery"]
    at_once = celery["replicas"] * int(values["config"]["celery"]["worker_concurrency"])
    assert at_once == int(values["config"]["core"]["parallelism"])


def test_pods_share_no_disk() -> None:
    values = load(CELERY)
    assert values["config"]["logging"]["remote_base_log_folder"].startswith("s3://")
    assert values["config"]["logging"]["remote_logging"] == "True"
    assert "persistence" not in load(PODS)["workers"]["kubernetes"]


def test_the_image_is_the_same_as_in_compose(services: dict[str, dict[str, Any]]) -> None:
    values = load(CELERY)
    image = f"{values['defaultAirflowRepository'].rsplit('/', 1)[1]}:{values['defaultAirflowTag']}"
    assert services["airflow-worker"]["image"] == f"${{FLYWHEEL_IMAGE:-{image}}}"
    lock = (ROOT / "deploy/requirements.txt").read_text()
    assert f"\napache-airflow=={values['airflowVersion']}\n" in lock

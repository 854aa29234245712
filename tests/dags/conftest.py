"""The DAGs as Airflow gets them."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from airflow.sdk import DAG

DAG_FILES = sorted((Path(__file__).resolve().parents[2] / "dags").glob("*.py"))


@pytest.fixture(scope="module")
def dags() -> dict[str, DAG]:
    made = [one for file in DAG_FILES for one in runpy.run_path(str(file)).values()]
    return {one.dag_id: one for one in made if isinstance(one, DAG)}


@pytest.fixture(scope="module")
def on_demand(dags: dict[str, DAG]) -> DAG:
    return dags["flywheel_on_demand"]

"""The notebook of the jobs API, run as a person runs it: on the stack, with a small job."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from include.flywheel.runs import ids
from include.local_stack import airflow_config

from .conftest import NIMS
from .world import World

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "jobs_api.ipynb"
SMALL_JOB: dict[str, Any] = {
    "client_id": "acme-shop",
    "workload_id": "support_agent",
    "config_name": "laptop",
    "data_split_config": {"eval_size": 20, "limit": 300, "random_seed": 3},
    "nims": NIMS[:1],
}
_CELL_SECONDS = 120


@pytest.fixture(scope="module")
def cells(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What each code cell showed, by its id. An error in one is an error here."""
    book = nbformat.read(NOTEBOOK, as_version=4)
    environment = os.environ | {
        "FLYWHEEL_URL": world.stack.airflow_url,
        "FLYWHEEL_USER": "admin",
        "FLYWHEEL_PASSWORD": airflow_config.passwords(world.stack.layout)["admin"],
        "FLYWHEEL_JOB": json.dumps(SMALL_JOB),
        "IPYTHONDIR": str(tmp_path_factory.mktemp("ipython")),
    }
    folder = str(tmp_path_factory.mktemp("notebook"))
    NotebookClient(book, timeout=_CELL_SECONDS, kernel_name="python3").execute(env=environment, cwd=folder)
    return {cell.id: _shown(cell) for cell in book.cells if cell.cell_type == "code"}


def _shown(cell: Any) -> str:
    parts = []
    for output in cell.outputs:
        data = output.get("data", {})
        parts.append(output.get("text") or data.get("text/html") or data.get("text/plain", ""))
    return "".join(parts)


def test_the_job_ran_to_its_end_before_the_readers_eyes(cells: dict[str, str]) -> None:
    lines = cells["watch"].replace("\r", "\n").splitlines()
    assert lines[-1].startswith(f"completed | {NIMS[0]}: completed 100 %")
    assert any(line.startswith("running") for line in lines)


def test_scores_are_shown_for_each_evaluation(cells: dict[str, str]) -> None:
    for word in ("base-eval", "icl-eval", "customized-eval", "function_name_and_args_accuracy", "<svg"):
        assert word in cells["result"]
    assert "records of the log were read" in cells["data"]


def test_nothing_is_left_of_what_it_started(cells: dict[str, str], world: World) -> None:
    assert cells["cancel"].replace("\r", "\n").splitlines()[-1].startswith("cancelled")
    removed = [line.rpartition(" ")[2] for line in cells["delete"].splitlines() if "nothing is left" in line]
    assert len(removed) == 2
    for job_id in removed:
        assert world.runs.find(job_id) is None
        left = world.remote(ids.project(job_id))
        assert left == {"deployments": [], "live_jobs": [], "datasets": []}

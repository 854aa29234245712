"""What every DAG of dags/ must have, and what importing a DAG file must not do."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from airflow.sdk import DAG, Param, task
from airflow.sdk.definitions._internal.types import is_arg_set
from airflow.sdk.exceptions import ParamValidationError
from airflow.serialization.serialized_objects import DagSerialization
from airflow.utils.file import might_contain_dag

from include.flywheel.config.workload import Sensitivity, Workload, load_workloads
from include.pipeline.factory import flywheel_dag, flywheel_dags

ROOT = Path(__file__).resolve().parents[2]
PROBE = Path(__file__).with_name("import_probe.py")
DAG_FILES = sorted((ROOT / "dags").glob("*.py"))
# Of Airflow's 30 s, on a machine that does other things too.
IMPORT_CPU_SECONDS = 5.0
# A cancel may not run it twice; it is right without a second try.
WITHOUT_RETRIES = {"close_run"}


def offences(dag: DAG) -> list[str]:
    """Everything that the policy misses in a DAG."""
    found = []
    if dag.owner in {"", "airflow"}:
        found.append("owner: name who is asked when a run fails")
    if not dag.tags:
        found.append("tags: none")
    if "### When something fails" not in (dag.doc_md or "") or "| Failed task |" not in (dag.doc_md or ""):
        found.append("doc_md: no triage table")
    if dag.catchup:
        found.append("catchup: unpausing would start runs of the past")
    for one in dag.tasks:
        if one.retries < 1 and one.task_id not in WITHOUT_RETRIES:
            found.append(f"{one.task_id}: no retries")
        if one.execution_timeout is None and not getattr(one, "deferrable", False):
            found.append(f"{one.task_id}: no execution_timeout")
    for name in dag.params:
        found += _param_offences(name, dag.params.get_param(name))
    return found


def _param_offences(name: str, param: Param) -> list[str]:
    found = []
    if not (param.description or param.schema.get("description")):
        found.append(f"param {name}: no description")
    if not param.schema.get("type"):
        found.append(f"param {name}: no type")
    try:
        jsonschema.Draft202012Validator.check_schema(param.schema)
        if is_arg_set(param.value):
            copy.copy(param).resolve()
    except (jsonschema.SchemaError, ParamValidationError) as error:
        found.append(f"param {name}: {error}")
    return found


def probed(dag_file: Path, root: Path = ROOT) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(PROBE), str(dag_file)],
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_each_workload_has_its_dag_and_one_is_on_demand(dags: dict[str, DAG]) -> None:
    turns = {one.dag_id for one in load_workloads()} | {"flywheel_on_demand"}
    assert set(dags) == turns | {"flywheel_upkeep", "feedback_export"}


def test_every_dag_keeps_the_policy(dags: dict[str, DAG]) -> None:
    assert {dag_id: found for dag_id, dag in dags.items() if (found := offences(dag))} == {}


def test_the_policy_finds_what_is_missing() -> None:
    with DAG("bare", schedule=None, start_date=datetime(2025, 1, 1, tzinfo=UTC), catchup=True) as bare:
        bare.params = {"size": Param("ten", type="integer")}

        @task(retries=0)
        def careless() -> None: ...

        careless()
    assert [found.split(":")[0] for found in offences(bare)] == [
        "owner",
        "tags",
        "doc_md",
        "catchup",
        "careless",
        "careless",
        "param size",
        "param size",
    ]


def test_every_dag_can_be_serialized(dags: dict[str, DAG]) -> None:
    for dag in dags.values():
        json.dumps(DagSerialization.to_dict(dag))


def test_a_schedule_needs_no_conf(dags: dict[str, DAG]) -> None:
    scheduled = [dag for dag in dags.values() if dag.schedule is not None]
    assert scheduled
    for dag in scheduled:
        dag.params.validate()


def test_owner_tags_and_documentation_are_the_workloads(dags: dict[str, DAG]) -> None:
    for workload in load_workloads():
        dag = dags[workload.dag_id]
        assert dag.owner == workload.owner
        assert f"client:{workload.client_id}" in dag.tags
        assert workload.description in (dag.doc_md or "")


def test_what_a_workload_says_of_itself_is_on_its_page_and_in_its_tags() -> None:
    said = Workload(
        client_id="acme",
        workload_id="desk",
        user_intent="A parcel that arrives.",
        reviewers=["ada", "bob"],
        sensitivity=Sensitivity.CONFIDENTIAL,
    )
    dag = flywheel_dag(said)
    assert "sensitivity:confidential" in dag.tags
    for words in ("A parcel that arrives.", "Reviewers: ada, bob.", "Its records are **confidential**."):
        assert words in (dag.doc_md or "")
    bare = flywheel_dag(Workload(client_id="acme", workload_id="desk"))
    assert not any(tag.startswith("sensitivity:") for tag in bare.tags)
    assert "Reviewers" not in (bare.doc_md or "")


def test_a_teardown_takes_every_nim_down_and_the_last_one_fails_the_run(dags: dict[str, DAG]) -> None:
    for dag in (one for one in dags.values() if one.dag_id not in {"flywheel_upkeep", "feedback_export"}):
        undeploy, close = dag.get_task("nim.undeploy"), dag.get_task("close_run")
        assert undeploy.is_teardown
        assert close.is_teardown
        assert close.on_failure_fail_dagrun
        # With setups a cancel could keep a teardown from running.
        assert not [one.task_id for one in dag.tasks if one.is_setup]
        assert "nim.undeploy" in close.upstream_task_ids


def test_the_clean_up_reports_whatever_happened_before(dags: dict[str, DAG]) -> None:
    upkeep = dags["flywheel_upkeep"]
    assert upkeep.max_active_runs == 1
    assert upkeep.get_task("reconcile").downstream_task_ids == {"retain"}
    assert upkeep.get_task("retain").downstream_task_ids == {"report"}
    assert {upkeep.get_task(name).trigger_rule for name in ("retain", "report")} == {"all_done"}


@pytest.mark.parametrize("dag_file", DAG_FILES, ids=lambda path: path.name)
def test_importing_a_dag_file_is_quick_and_touches_nothing(dag_file: Path) -> None:
    answer = probed(dag_file)
    assert answer["dags"]
    assert answer["touched"] == []
    assert answer["cpu_seconds"] < IMPORT_CPU_SECONDS


@pytest.mark.parametrize("dag_file", DAG_FILES, ids=lambda path: path.name)
def test_airflow_looks_into_a_dag_file(dag_file: Path) -> None:
    assert might_contain_dag(str(dag_file), safe_mode=True)


CURIOUS = """
import socket
from airflow.sdk import Variable
from airflow.sdk.bases.hook import BaseHook
Variable.get("some_variable")
BaseHook.get_connection("some_connection")
open("/etc/hostname").close()
with socket.socket() as probe:
    probe.connect_ex(("127.0.0.1", 1))
"""


def test_the_probe_sees_a_dag_file_that_reaches_out(tmp_path: Path) -> None:
    file = tmp_path / "dags" / "curious.py"
    file.parent.mkdir()
    file.write_text(CURIOUS)
    touched = probed(file)["touched"]
    assert [one.split()[0] for one in touched] == [
        "_get_variable",
        "_get_connection",
        "open",
        "socket.connect",
    ]


@pytest.fixture
def project_copy(tmp_path: Path) -> Path:
    for part in ("dags", "include"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_a_yaml_file_more_is_a_dag_more(project_copy: Path) -> None:
    workloads = project_copy / "include/flywheel/config/workloads"
    (workloads / "new.yaml").write_text("client_id: skyline\nworkload_id: seats\nowner: cabin\n")
    answer = probed(project_copy / "dags/flywheel.py", project_copy)
    assert "flywheel__skyline__seats" in answer["dags"]
    assert len(answer["dags"]) == len(load_workloads()) + 2
    assert answer["touched"] == []


def test_a_workloads_own_dag_is_for_it_alone(dags: dict[str, DAG]) -> None:
    for workload in load_workloads():
        param = dags[workload.dag_id].params.get_param("client_id")
        assert copy.copy(param).resolve() == workload.client_id
        with pytest.raises(ParamValidationError):
            copy.copy(param).resolve("somebody-else")


def test_a_task_builds_the_dag_that_it_is_of_and_no_other() -> None:
    assert set(flywheel_dags("flywheel_on_demand")) == {"flywheel_on_demand"}
    assert flywheel_dags("flywheel__nobody__nothing") == {}

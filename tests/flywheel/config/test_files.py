"""The configuration that the repository ships, and what a bad file of one's own is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.flywheel.config import workload
from include.flywheel.config.base import read_yaml
from include.flywheel.config.profile import load_profile
from include.flywheel.config.workload import Workload, dag_id_of, load_workloads
from include.flywheel.errors import ConfigError


def test_every_workload_of_the_repository_loads_and_names_a_profile() -> None:
    workloads = load_workloads()
    assert len(workloads) == len(list(workload.DIRECTORY.glob("*.yaml"))) >= 2
    for one in workloads:
        load_profile(one.profile)
        assert one.description
        assert one.owner not in {"", "airflow"}


BAD_WORKLOADS = [
    ("client_id: a\n", "`workload_id` is missing: add it"),
    ("client_id: a\nworkload_id: b\nownr: x\n", "`ownr` = 'x': unknown key"),
    ("client_id: a\nworkload_id: b\nbar: {model: m}\n", "`bar.model` = 'm': unknown key"),
    (
        "client_id: a\nworkload_id: b\nnon_negotiable: {min_quality: 90}\n",
        "`non_negotiable.min_quality` = 90:",
    ),
    ("client_id: [\n", "bad.yaml is not valid YAML"),
    ("", "`(whole)` = None"),
]


@pytest.mark.parametrize(("text", "message"), BAD_WORKLOADS)
def test_a_bad_workload_names_file_field_and_value(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(ConfigError, match=re.escape(message)) as refused:
        load_workloads(tmp_path)
    assert "bad.yaml" in str(refused.value)


def test_a_file_that_is_no_text_or_not_there_is_an_error_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "bytes.yaml").write_bytes(b"client_id: \xff")
    for name in ("bytes.yaml", "absent.yaml"):
        with pytest.raises(ConfigError, match=name):
            read_yaml(tmp_path / name)


def write(folder: Path, name: str, client_id: str, workload_id: str) -> None:
    (folder / name).write_text(f"client_id: {client_id!r}\nworkload_id: {workload_id!r}\n", encoding="utf-8")


def test_one_workload_in_two_files_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "acme-shop", "desk")
    write(tmp_path, "b.yaml", "acme-shop", "desk")
    with pytest.raises(
        ConfigError, match=r"b\.yaml: workload 'desk' of client 'acme-shop' stands in another"
    ):
        load_workloads(tmp_path)


def test_a_dag_id_longer_than_airflow_allows_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "long.yaml", "c" * 120, "w" * 118)
    assert len(load_workloads(tmp_path)[0].dag_id) == 250
    write(tmp_path, "long.yaml", "c" * 120, "w" * 119)
    with pytest.raises(ConfigError, match="has 251 characters, Airflow allows 250"):
        load_workloads(tmp_path)


@given(st.text(min_size=1, max_size=80), st.text(min_size=1, max_size=80))
@settings(max_examples=100)
def test_every_dag_id_is_legal(client_id: str, workload_id: str) -> None:
    dag_id = Workload(client_id=client_id, workload_id=workload_id).dag_id
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", dag_id)
    assert len(dag_id) <= 250


_NAMES = st.one_of(st.text(min_size=1, max_size=12), st.text("a-_. ", min_size=1, max_size=5))


@given(st.tuples(_NAMES, _NAMES), st.tuples(_NAMES, _NAMES))
@settings(max_examples=300)
def test_two_workloads_never_have_one_dag_id(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Who may see the DAG may see the workload."""
    assert (dag_id_of(*one) == dag_id_of(*other)) == (one == other)


def test_names_that_look_alike_have_dag_ids_of_their_own() -> None:
    alike = [("a__b", "c"), ("a", "b__c"), ("a_", "b"), ("a", "_b"), ("a b", "c"), ("a-b", "c"), ("a/b", "c")]
    assert len({dag_id_of(*names) for names in alike}) == len(alike)
    assert dag_id_of("acme-shop", "support_agent") == "flywheel__acme-shop__support_agent"

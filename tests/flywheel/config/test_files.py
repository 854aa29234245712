"""The configuration that the repository ships, and what a bad file of one's own is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.flywheel.config import nims, profile, workload
from include.flywheel.config.base import read_yaml
from include.flywheel.config.nims import load_catalogue, select
from include.flywheel.config.profile import load_profile
from include.flywheel.config.workload import Workload, load_workloads
from include.flywheel.errors import ConfigError, UnknownName

NIM = "{name: %s, image_name: i, image_tag: '1', parameters: 1.0e+9, gpus: 1, context_tokens: 8}"


def test_every_profile_of_the_repository_loads_and_knows_its_nims() -> None:
    names = [path.stem for path in profile.DIRECTORY.glob("*.yaml")]
    assert "laptop" in names
    for name in names:
        chosen = load_profile(name)
        assert len(select(load_catalogue(), chosen.nims)) == len(set(chosen.nims))
        assert chosen.description


def test_every_workload_of_the_repository_loads_and_names_a_profile() -> None:
    workloads = load_workloads()
    assert len(workloads) == len(list(workload.DIRECTORY.glob("*.yaml"))) >= 2
    for one in workloads:
        load_profile(one.profile)
        assert one.description
        assert one.owner not in {"", "airflow"}


def test_every_nim_of_the_catalogue_can_be_deployed() -> None:
    for name, nim in load_catalogue(nims.CATALOGUE).items():
        assert nim.name == name
        assert re.fullmatch(r"[A-Za-z0-9._-]+", nim.slug)
        assert nim.image_tag[0].isdigit()
        assert nim.customization is None or "@" in nim.customization.target
    assert list(load_catalogue()) == [nim.name for nim in select(load_catalogue(), list(load_catalogue()))]


def test_two_nims_with_one_slug_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "nims.yaml"
    for first, second in (("meta/a-b", "meta-a/b"), ("meta/a", "meta/a")):
        file.write_text(f"nims: [{NIM % first}, {NIM % second}]")
        with pytest.raises(
            ConfigError, match=f"nims.yaml: `name` = '{second}' and '{first}' are both called"
        ):
            load_catalogue(file)


def test_an_unknown_nim_lists_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="known are: meta/"):
        select(load_catalogue(), ["meta/none"])


def test_a_profile_is_found_by_name_and_never_by_path(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("description: d\nnims: [a]\n")
    assert load_profile("mine", tmp_path).seed == 42
    for name in ("../mine", str(tmp_path / "mine"), ""):
        with pytest.raises(UnknownName, match="known profiles are: mine"):
            load_profile(name, tmp_path)


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


@pytest.mark.parametrize("other", [("acme shop", "desk"), ("acme/shop", "desk"), ("acme-shop", "desk")])
def test_two_workloads_with_one_dag_id_are_refused(tmp_path: Path, other: tuple[str, str]) -> None:
    write(tmp_path, "a.yaml", "acme-shop", "desk")
    write(tmp_path, "b.yaml", *other)
    with pytest.raises(
        ConfigError, match=r"b\.yaml: the DAG id 'flywheel__acme-shop__desk' belongs to another"
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

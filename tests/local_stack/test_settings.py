"""`airflow_settings.yaml`: valid, of one mind with the code, and made this stack's own."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from airflow.sdk import Connection, Variable
from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

from include.airflow_nemo.hook import NemoHook
from include.flywheel.config.workload import Workload, load_workloads
from include.local_stack import application, settings
from include.local_stack.errors import StackError
from include.local_stack.layout import Layout, Ports
from include.stores.application import find_webhook
from include.stores.feedback import CONN_ID as FEEDBACK_CONN_ID
from include.stores.feedback import FeedbackPlace, find_place
from include.stores.logs import open_logs
from include.stores.runs import CONN_ID
from include.stores.staging import VARIABLE

PORTS = Ports(airflow=1, nemo=2, application=3, mongo=4, postgres=5)


def read(layout: Layout, ports: Ports = PORTS) -> dict[str, dict[str, object]]:
    """The file's connections by id."""
    found = settings.read(layout, ports)["connections"]
    return {entry["conn_id"]: entry for entry in found}


def test_the_file_gets_this_stacks_ports_and_folders(layout: Layout) -> None:
    found = read(layout)
    assert found["flywheel_logs"]["conn_extra"] == {"path": str(layout.log_store)}
    assert (found["flywheel_runs"]["conn_port"], found["nemo"]["conn_host"]) == (4, "http://127.0.0.1:2")
    assert found["nemo"]["conn_extra"] == {
        "data_store_url": "http://127.0.0.1:2",
        "nim_proxy_url": "http://127.0.0.1:2/nim",
        "namespace": "flywheel",
    }
    assert found["application"]["conn_extra"] == {"url": f"http://127.0.0.1:3{application.PATH}"}
    [variable] = settings.read(layout, PORTS)["variables"]
    assert variable["variable_value"] == f"file://{layout.staging}"


def test_the_defaults_of_the_stack_are_the_files(layout: Layout) -> None:
    text = settings.SETTINGS_FILE.read_text()
    written = {str(port) for name, port in asdict(Ports()).items() if name != "airflow"}
    assert all(port in text for port in written)
    assert read(layout, Ports())["flywheel_runs"]["conn_port"] == Ports().mongo


def test_ports_that_change_places_are_not_replaced_twice(layout: Layout) -> None:
    usual = Ports()
    swapped = Ports(nemo=usual.application, application=usual.nemo)
    found = read(layout, swapped)
    assert found["nemo"]["conn_host"] == f"http://127.0.0.1:{usual.application}"
    assert urlsplit(found["application"]["conn_extra"]["url"]).port == usual.nemo  # type: ignore[index]


@pytest.mark.parametrize("name", ["a b", "a, b: {c}", "it's #1", "8700", "ünï", '"quoted"'])
def test_a_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    layout = Layout(tmp_path / name)
    assert read(layout)["flywheel_logs"]["conn_extra"] == {"path": str(layout.log_store)}


def test_a_longer_number_is_no_port(layout: Layout, tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("airflow: {variables: [{variable_name: v, variable_value: '18700 87001 8700 27117'}]}")
    assert settings.read(layout, PORTS, file)["variables"][0]["variable_value"] == "18700 87001 2 4"


def test_the_files_connections_are_those_that_the_code_asks_for(layout: Layout) -> None:
    asked = {
        Workload.model_fields["logs_conn_id"].default,
        Workload.model_fields["application_conn_id"].default,
    }
    asked |= {one.logs_conn_id for one in load_workloads()} | {
        one.application_conn_id for one in load_workloads()
    }
    asked |= {CONN_ID, FEEDBACK_CONN_ID, NemoHook.default_conn_name}
    assert set(read(layout)) == asked
    assert [entry["variable_name"] for entry in settings.read(layout, PORTS)["variables"]] == [VARIABLE]


def test_airflow_knows_every_connection_type_of_the_file(layout: Layout) -> None:
    # `generic` is Airflow's own and has no hook.
    known = {*ProvidersManagerTaskRuntime().hooks, "generic"}
    assert {str(entry["conn_type"]) for entry in read(layout).values()} <= known


def test_the_stores_open_what_the_file_describes(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    layout.create()
    for name, value in settings.as_environment(settings.read(layout, PORTS)).items():
        monkeypatch.setenv(name, value)
    open_logs()
    webhook = find_webhook("application")
    assert webhook is not None
    assert webhook.secret == read(layout)["application"]["conn_password"]
    assert NemoHook().namespace == "flywheel"
    assert find_place() == FeedbackPlace("127.0.0.1", 5, "feedback", "feedback", "development-only-secret")
    assert Variable.get(VARIABLE) == f"file://{layout.staging}"


def test_a_connection_becomes_airflows_json() -> None:
    entry = {
        "conn_id": "c",
        "conn_type": "mongo",
        "conn_host": "h",
        "conn_port": 1,
        "conn_login": "l",
        "conn_password": "p/@:?",
        "conn_schema": "",
        "conn_extra": {"ssl": True},
    }
    converted = settings.as_airflow_connection(entry)
    assert converted == {
        "conn_type": "mongo",
        "host": "h",
        "port": 1,
        "login": "l",
        "password": "p/@:?",
        "extra": {"ssl": True},
    }
    read_back = Connection.from_json(json.dumps(converted), conn_id="c")
    assert (read_back.password, read_back.port, read_back.extra_dejson) == ("p/@:?", 1, {"ssl": True})


BAD_FILES = [
    ("connections: []", "the top level must be `airflow:`"),
    ("", "the top level must be `airflow:`"),
    ("airflow: [", "not valid YAML"),
    ("airflow: {connections: [{conn_id: c}]}", "lacks `conn_type`: add it"),
    ("airflow: {variables: [{variable_value: 1}]}", "lacks `variable_name`: add it"),
    ("airflow: {pools: [{pool_name: p}]}", "lacks `pool_slot`: add it"),
]


@pytest.mark.parametrize(("text", "message"), BAD_FILES)
def test_a_file_that_is_not_in_astros_format_is_refused(
    layout: Layout, tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(StackError, match=message) as refused:
        settings.read(layout, PORTS, file)
    assert "mine.yaml" in str(refused.value)


def test_kinds_that_a_file_leaves_out_are_empty(layout: Layout, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("airflow: {pools: }")
    assert settings.read(layout, PORTS, file) == {"connections": [], "pools": [], "variables": []}

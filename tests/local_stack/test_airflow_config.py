"""Airflow's environment in the local stack: nothing of the caller's, nothing that Airflow does not know."""

from __future__ import annotations

import json
import os

import pytest
from airflow.configuration import conf

from include.local_stack import airflow_config
from include.local_stack.layout import PROJECT_ROOT, Layout, Ports
from include.local_stack.leftovers import MARK

SECRETS = {"jwt": "j" * 48, "fernet": "f" * 44, "api": "a" * 32}
PORTS = Ports(airflow=18080)
URI = "postgresql+psycopg2://flywheel:p@127.0.0.1:5/airflow"


@pytest.fixture
def environment(layout: Layout) -> dict[str, str]:
    return airflow_config.environment(layout, PORTS, URI, SECRETS)


def test_every_option_is_one_that_airflow_knows(environment: dict[str, str]) -> None:
    options = [name.split("__", 2)[1:] for name in environment if name.startswith("AIRFLOW__")]
    assert len(options) > 20
    unknown = [
        (section, key)
        for section, key in options
        if conf.configuration_description.get(section.lower(), {}).get("options", {}).get(key.lower()) is None
    ]
    assert unknown == []


def test_nothing_of_the_callers_airflow_or_python_comes_along(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AIRFLOW_CONN_NEMO", "AIRFLOW__CORE__EXECUTOR", "_AIRFLOW_X", "PYTHONHOME", "PYTHONSTARTUP"):
        monkeypatch.setenv(name, "the caller's")
    monkeypatch.setenv("HTTPS_PROXY", "kept")
    made = airflow_config.environment(layout, PORTS, URI, SECRETS)
    assert "the caller's" not in made.values()
    assert made["HTTPS_PROXY"] == "kept"
    assert made[MARK] == layout.stack_id
    assert made["PYTHONPATH"] == str(PROJECT_ROOT)


def test_everything_stays_in_the_stacks_folder_and_on_this_machine(
    layout: Layout, environment: dict[str, str]
) -> None:
    places = [
        value for name, value in environment.items() if name.endswith(("_HOME", "_LOG_FOLDER", "_FILE"))
    ]
    own = [place for place in places if place.startswith(str(layout.state))]
    assert {environment["AIRFLOW_HOME"], environment["AIRFLOW__LOGGING__BASE_LOG_FOLDER"]} <= set(own)
    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert environment["AIRFLOW__API__PORT"] == "18080"
    assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:18080/execution/"
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == URI


def test_programs_beside_this_python_are_found_first(environment: dict[str, str]) -> None:
    assert (PROJECT_ROOT / "dags").samefile(environment["AIRFLOW__CORE__DAGS_FOLDER"])
    assert os.access(os.path.join(environment["PATH"].split(os.pathsep)[0], "airflow"), os.X_OK)


def test_passwords_are_read_as_airflow_keeps_them(layout: Layout) -> None:
    layout.create()
    (layout.airflow_home / airflow_config.PASSWORDS_FILE).write_text(json.dumps({"admin": "x"}))
    assert airflow_config.passwords(layout) == {"admin": "x"}

"""deploy/prepare_airflow.py: values from the environment, errors without them, usable connections."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.local_stack.errors import StackError

ROOT = Path(__file__).parents[2]
NEEDED = {
    "ELASTICSEARCH_FLYWHEEL_PASSWORD": "es-secret",
    "MONGO_FLYWHEEL_PASSWORD": "mongo-secret",
    "POSTGRES_FEEDBACK_PASSWORD": "pg-secret",
    "NEMO_URL": "https://nemo.example",
    "NEMO_DATA_STORE_URL": "https://data-store.example",
    "NEMO_NIM_PROXY_URL": "https://nim.example",
}
APPLICATION = {"APPLICATION_URL": "https://app.example/events", "APPLICATION_SECRET": "app-secret"}


@pytest.fixture(scope="module")
def prepare(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("prepare_airflow")


def by_id(found: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    return {one["conn_id"]: one for one in found["connections"]}


def test_everything_is_filled_in(prepare: ModuleType) -> None:
    found = prepare.read(NEEDED | APPLICATION)
    assert "${" not in json.dumps(found)
    connections = by_id(found)
    assert connections["flywheel_runs"]["conn_password"] == "mongo-secret"
    assert connections["nemo"]["conn_extra"]["nim_proxy_url"] == "https://nim.example"
    assert connections["nemo"]["conn_password"] == ""
    assert connections["flywheel_logs"]["conn_host"] == "elasticsearch"
    assert found["variables"][0]["variable_value"] == "file:///opt/airflow/staging"


def test_hosts_may_lie_elsewhere(prepare: ModuleType) -> None:
    given_ = NEEDED | {"MONGO_HOST": "mongo.internal", "FLYWHEEL_STAGING_URL": "s3://bucket/x"}
    found = prepare.read(given_)
    assert by_id(found)["flywheel_runs"]["conn_host"] == "mongo.internal"
    assert found["variables"][0]["variable_value"] == "s3://bucket/x"


def test_an_application_without_an_address_is_left_out(prepare: ModuleType) -> None:
    assert "application" not in by_id(prepare.read(NEEDED | {"APPLICATION_URL": ""}))


@pytest.mark.parametrize("name", sorted(NEEDED))
@pytest.mark.parametrize("value", [None, ""])
def test_what_is_missing_is_named_and_nothing_else_is_told(
    prepare: ModuleType, name: str, value: str | None
) -> None:
    environment = {key: one for key, one in NEEDED.items() if key != name}
    if value is not None:
        environment[name] = value
    with pytest.raises(StackError) as caught:
        prepare.read(environment)
    assert name in str(caught.value)
    assert ".env.example" in str(caught.value)
    assert not any(one in str(caught.value) for one in environment.values() if one)


@given(st.text(min_size=1).filter(lambda text: "\x00" not in text))
def test_a_password_of_any_characters_arrives_as_it_is(prepare: ModuleType, password: str) -> None:
    found = by_id(prepare.read(NEEDED | {"MONGO_FLYWHEEL_PASSWORD": password}))
    assert found["flywheel_runs"]["conn_password"] == password


def test_the_file_for_a_secret_is_the_owners_and_holds_what_stores_read(
    prepare: ModuleType, tmp_path: Path
) -> None:
    file = tmp_path / "connections.env"
    file.touch(mode=0o644)
    prepare.write_env_file(file, NEEDED | APPLICATION)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    lines = dict(line.split("=", 1) for line in file.read_text().splitlines())
    assert set(lines) == {
        *("AIRFLOW_CONN_FLYWHEEL_LOGS", "AIRFLOW_CONN_FLYWHEEL_RUNS", "AIRFLOW_CONN_FLYWHEEL_FEEDBACK"),
        *("AIRFLOW_CONN_NEMO", "AIRFLOW_CONN_APPLICATION", "AIRFLOW_VAR_FLYWHEEL_STAGING_URL"),
    }
    assert json.loads(lines["AIRFLOW_CONN_NEMO"])["host"] == "https://nemo.example"


def test_stores_can_open_what_is_written(prepare: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.providers.mongo.hooks.mongo import MongoHook  # noqa: PLC0415

    from include.local_stack import settings  # noqa: PLC0415
    from include.stores import application, connections  # noqa: PLC0415
    from include.stores.log_extras import ElasticExtras, read_extras  # noqa: PLC0415

    for name, value in settings.as_environment(prepare.read(NEEDED | APPLICATION)).items():
        monkeypatch.setenv(name, value)
    logs = connections.get("flywheel_logs", "logs")
    assert read_extras(logs, ElasticExtras).index == "flywheel"
    assert MongoHook("flywheel_runs").uri == "mongodb://flywheel:mongo-secret@mongodb:27017/flywheel"
    webhook = application.find_webhook("application")
    assert webhook is not None
    assert webhook.url == "https://app.example/events"
    assert webhook.secret == "app-secret"


def run(home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW_")}
    own = {
        "AIRFLOW_HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    return subprocess.run(
        [sys.executable, str(ROOT / "deploy/prepare_airflow.py"), "database"],
        env=kept | own | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_its_variables_it_ends_before_it_touches_anything(tmp_path: Path) -> None:
    done = run(tmp_path, **{key: value for key, value in NEEDED.items() if key != "NEMO_URL"})
    assert done.returncode == 1
    assert "needs NEMO_URL" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "airflow.db").exists()


@pytest.mark.slow
def test_a_database_is_made_and_the_second_time_brought_up_to_date(tmp_path: Path) -> None:
    # The second time nobody is told any more: the application's connection goes.
    for host, told in (("first", APPLICATION), ("second", {})):
        done = run(tmp_path, **NEEDED, **told, MONGO_HOST=host)
        assert done.returncode == 0, done.stderr[-2000:]
        assert "mongo-secret" not in done.stdout + done.stderr
        with sqlite3.connect(tmp_path / "airflow.db") as database:
            rows = dict(database.execute("SELECT conn_id, host FROM connection").fetchall())
        assert rows["flywheel_runs"] == host
        assert ("application" in rows) == bool(told)
        assert len(rows) == 4 + bool(told)

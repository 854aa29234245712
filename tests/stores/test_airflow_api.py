"""Airflow's REST API behind its connection: what is asked on the wire, what is said when it goes wrong."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from include.flywheel.errors import ConfigError
from include.stores.airflow_api import (
    AirflowApi,
    AirflowRefused,
    AirflowUnreachable,
    find_airflow_api,
    open_airflow_api,
)

DAG, RUN = "flywheel__acme__desk", "scheduled__2026-03-02T00:00:00+00:00/a"


def fake_module() -> Any:
    name = "tests_fakes_airflow_rest"
    path = Path(__file__).resolve().parents[1] / "fakes" / "airflow_rest.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def airflow() -> Iterator[Any]:
    with fake_module().FakeAirflow() as fake:
        fake.states[DAG, RUN] = "running"
        yield fake


@pytest.fixture
def api(airflow: Any) -> Iterator[AirflowApi]:
    with AirflowApi(airflow.url, airflow.password, user=airflow.user) as opened:
        yield opened


def test_it_logs_in_once_and_then_shows_the_token(api: AirflowApi, airflow: Any) -> None:
    assert api.run_state(DAG, RUN) == "running"
    assert api.run_state(DAG, RUN) == "running"
    assert [request.path for request in airflow.requests].count("/auth/token") == 1


def test_a_token_needs_no_login(airflow: Any) -> None:
    with AirflowApi(airflow.url, airflow.token) as api:
        assert api.run_state(DAG, RUN) == "running"
    assert "/auth/token" not in [request.path for request in airflow.requests]


def test_run_ids_are_one_part_of_the_address(api: AirflowApi, airflow: Any) -> None:
    api.mark_failed(DAG, RUN)
    last = airflow.requests[-1]
    assert (last.method, last.body) == ("PATCH", {"state": "failed"})
    assert last.path.endswith("/dagRuns/scheduled__2026-03-02T00%3A00%3A00%2B00%3A00%2Fa")


def test_a_cancel_is_asked_for_again_where_airflows_database_had_a_deadlock(
    api: AirflowApi, airflow: Any
) -> None:
    airflow.deadlocks = 2
    api.mark_failed(DAG, RUN)
    assert airflow.states[DAG, RUN] == "failed"
    airflow.deadlocks = 100
    with pytest.raises(AirflowRefused, match="500"):
        api.mark_failed(DAG, RUN)


def test_a_run_that_airflow_does_not_know_has_no_state(api: AirflowApi) -> None:
    assert api.run_state(DAG, "another") is None


def test_what_is_cleared_runs_again_with_all_that_follows(api: AirflowApi, airflow: Any) -> None:
    assert api.clear(DAG, RUN, [["nim.deploy", 1], "reference_eval"]) == 7
    assert airflow.requests[-1].body == {
        "dry_run": False,
        "only_failed": False,
        "include_downstream": True,
        "dag_run_id": RUN,
        "task_ids": [["nim.deploy", 1], "reference_eval"],
    }
    airflow.cleared = 0
    with pytest.raises(AirflowRefused, match=r"cleared no task .* start a new run"):
        api.clear(DAG, RUN, ["decide"])


def test_whether_a_dag_is_paused(api: AirflowApi, airflow: Any) -> None:
    assert not api.is_paused(DAG)
    airflow.paused.add(DAG)
    assert api.is_paused(DAG)


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (401, "", "may have expired"),
        (403, "", "may not do this"),
        (404, "", "right Airflow"),
        (500, "broken: s3cret-pass", r"answered 500 to .*broken: \*\*\*"),
        (302, "", "answered 302"),
        (200, "<html>a proxy</html>", "without JSON"),
    ],
)
def test_a_refusal_says_what_to_do_and_tells_no_secret(
    api: AirflowApi, airflow: Any, status: int, text: str, said: str
) -> None:
    airflow.instead = (status, text)
    with pytest.raises(AirflowRefused, match=said) as refused:
        api.is_paused(DAG)
    for secret in (airflow.password, airflow.token):
        assert secret not in f"{refused.value!r}{api!r}"


def test_a_wrong_password_names_the_connection_and_not_the_password(airflow: Any) -> None:
    with (
        AirflowApi(airflow.url, "wr0ng-pass", user="ann") as api,
        pytest.raises(AirflowRefused, match=r"does not log 'ann' in .*airflow_api") as refused,
    ):
        api.run_state(DAG, RUN)
    assert "wr0ng-pass" not in str(refused.value)


def test_an_airflow_that_is_down_is_said(free_port: Callable[[], int]) -> None:
    with (
        AirflowApi(f"http://127.0.0.1:{free_port()}", "secret-token") as api,
        pytest.raises(AirflowUnreachable, match=r"is its API server up.*airflow_api") as unreachable,
    ):
        api.run_state(DAG, RUN)
    assert "secret-token" not in str(unreachable.value)


ADDRESSES = [
    ({"host": "127.0.0.1", "port": 8080}, "http://127.0.0.1:8080"),
    ({"host": "af.example.com", "schema": "https"}, "https://af.example.com:443"),
    ({"host": "https://af.example.com/team/"}, "https://af.example.com:443/team"),
    ({"host": "http://af.example.com:81", "port": 9}, "http://af.example.com:81"),
    ({"host": "[::1]", "port": 8080}, "http://[::1]:8080"),
    ({"host": "af"}, "http://af:8080"),
]


@pytest.mark.parametrize(("fields", "url"), ADDRESSES)
def test_a_connection_becomes_an_address(
    connection: Callable[..., None], fields: dict[str, Any], url: str
) -> None:
    connection("airflow_api", conn_type="http", password="p", **fields)
    with open_airflow_api() as api:
        assert api.url == url


FAULTS = [
    ({"password": "p4ss"}, "`host` is empty"),
    ({"host": "af"}, "`password` is empty"),
    ({"host": "ftp://af", "password": "p4ss"}, r"an http\(s\) address"),
    ({"host": "http://ann:p4ss@af", "password": "p4ss"}, "without user and password"),
]


@pytest.mark.parametrize(("fields", "said"), FAULTS)
def test_a_connection_that_cannot_be_used_says_which_field(
    connection: Callable[..., None], fields: dict[str, Any], said: str
) -> None:
    connection("airflow_api", conn_type="http", **fields)
    with pytest.raises(ConfigError, match=said) as error:
        open_airflow_api()
    assert "p4ss" not in str(error.value)


def test_without_its_connection_it_says_how_to_add_it() -> None:
    assert find_airflow_api() is None
    with pytest.raises(ConfigError, match="AIRFLOW_CONN_AIRFLOW_API"):
        open_airflow_api()


def test_the_connection_logs_in(connection: Callable[..., None], airflow: Any) -> None:
    connection(
        "airflow_api",
        conn_type="http",
        host="127.0.0.1",
        port=airflow.port,
        login=airflow.user,
        password=airflow.password,
    )
    found = find_airflow_api()
    assert found is not None
    with found as api:
        assert api.run_state(DAG, RUN) == "running"

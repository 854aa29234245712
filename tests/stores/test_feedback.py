"""Where the feedback database is found: the environment, or Airflow's connection."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from include.flywheel.errors import ConfigError
from include.stores.feedback import CONN_ID, FeedbackPlace, connect, find_place, migrate, open_feedback

VARIABLE = f"AIRFLOW_CONN_{CONN_ID.upper()}"


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (VARIABLE, *(f"POSTGRES_{key}" for key in ("HOST", "PORT", "DB", "USER", "PASSWORD"))):
        monkeypatch.delenv(name, raising=False)


def test_the_connection_is_used_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    described = {
        "conn_type": "postgres",
        "host": "db",
        "port": 5433,
        "login": "me",
        "password": "it's/@:",
        "schema": "judged",
        "extra": {"sslmode": "require", "unrelated": 1},
    }
    monkeypatch.setenv(VARIABLE, json.dumps(described))
    monkeypatch.setenv("POSTGRES_HOST", "elsewhere")
    place = find_place()
    assert place == FeedbackPlace("db", 5433, "judged", "me", "it's/@:", {"sslmode": "require"})
    url = urlsplit(place.dsn)
    assert (url.hostname, url.port, unquote(url.password or "")) == ("db", 5433, "it's/@:")
    assert url.query == "sslmode=require"
    assert "it's" not in repr(place)


def test_outside_airflow_the_variables_of_the_original_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_HOST", "h")
    assert find_place() == FeedbackPlace("h", 5432, "feedback", "feedback", "")
    for key, value in {"PORT": "6000", "DB": "d", "USER": "u", "PASSWORD": "p"}.items():
        monkeypatch.setenv(f"POSTGRES_{key}", value)
    assert find_place() == FeedbackPlace("h", 6000, "d", "u", "p")
    for bad in ("0", "65536", "x", "-1"):
        monkeypatch.setenv("POSTGRES_PORT", bad)
        with pytest.raises(ConfigError, match="POSTGRES_PORT"):
            find_place()


def test_nothing_configured_says_both_ways() -> None:
    with pytest.raises(ConfigError, match=r"flywheel_feedback.*POSTGRES_HOST.*AIRFLOW_CONN"):
        find_place()


def test_a_server_that_is_not_there_is_named_without_the_password(free_port: Any) -> None:
    place = FeedbackPlace("127.0.0.1", free_port(), password="hidden-password")
    with pytest.raises(ConfigError, match=f"127.0.0.1:{place.port}") as error:
        connect(place)
    assert "hidden-password" not in str(error.value)


async def test_a_connection_in_the_environment_opens_the_repository(
    feedback_place: FeedbackPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = {
        "conn_type": "postgres",
        "host": feedback_place.host,
        "port": feedback_place.port,
        "login": feedback_place.user,
        "password": feedback_place.password,
        "schema": feedback_place.database,
    }
    monkeypatch.setenv(VARIABLE, json.dumps(described))
    assert migrate() == []
    async with open_feedback() as repository:
        assert await repository.ping() == 5

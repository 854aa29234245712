"""A remote judge: where it is, with which key, and whether it may be asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from include.flywheel.config.judge import HOSTS_VARIABLE, JudgeConfig
from include.flywheel.errors import ConfigError
from include.stores.judge import open_remote_judge


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOSTS_VARIABLE, "judge.example")


def config(**said: Any) -> JudgeConfig:
    return JudgeConfig.model_validate({"type": "remote", "model": "m", **said})


def connect(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_JUDGE", json.dumps({"conn_type": "http", **fields}))


def test_the_key_is_the_connections_password(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, host="https://elsewhere.example", password="s3cret")
    endpoint = open_remote_judge(config(url="https://judge.example/v1", conn_id="judge"))
    assert endpoint.url == "https://judge.example/v1"
    assert endpoint.headers == {"Authorization": "Bearer s3cret"}
    assert "s3cret" not in repr(endpoint)


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"host": "https://judge.example/v1"}, "https://judge.example/v1"),
        ({"host": "judge.example", "schema": "http", "port": 81}, "http://judge.example:81"),
        ({"host": "judge.example"}, "https://judge.example"),
    ],
)
def test_without_a_url_the_connection_says_where(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], url: str
) -> None:
    connect(monkeypatch, **fields)
    endpoint = open_remote_judge(config(conn_id="judge"))
    assert (endpoint.url, endpoint.headers) == (url, {})


def test_a_host_that_may_not_judge_is_refused_whoever_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, host="https://evil.example/v1", password="p")
    with pytest.raises(ConfigError, match=r"evil\.example"):
        open_remote_judge(config(conn_id="judge"))
    with pytest.raises(ConfigError, match=r"evil\.example"):
        open_remote_judge(config(url="https://evil.example/v1"))


def test_a_connection_that_is_missing_or_says_too_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_JUDGE", raising=False)
    with pytest.raises(ConfigError, match="'judge'"):
        open_remote_judge(config(url="https://judge.example/v1", conn_id="judge"))
    connect(monkeypatch, password="p")
    with pytest.raises(ConfigError, match="no host"):
        open_remote_judge(config(conn_id="judge"))

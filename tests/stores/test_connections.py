"""Connections of the environment become stores; what is missing or wrong is one clear error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from include.flywheel.errors import ConfigError
from include.flywheel.logs.store import LogQuery
from include.stores import connections
from include.stores.application import Webhook, find_webhook
from include.stores.logs import open_logs

SECRET = "a-secret-of-the-application"


def test_a_connection_that_nobody_configured_is_none() -> None:
    assert connections.find("nobody_knows") is None


def test_a_connection_that_is_needed_says_what_for_and_how_to_add_it() -> None:
    with pytest.raises(ConfigError) as refused:
        connections.get("flywheel_logs", "log store")
    for words in ("'flywheel_logs' (log store)", "AIRFLOW_CONN_FLYWHEEL_LOGS", "airflow_settings.yaml"):
        assert words in str(refused.value)


def test_a_log_store_is_the_folder_of_its_connection(connection: Callable[..., None], tmp_path: Path) -> None:
    connection("team_logs", conn_type="fs", extra={"path": str(tmp_path)})
    assert open_logs("team_logs").count(LogQuery(client_id="acme", workload_id="desk")) == 0


BAD_LOGS = [
    ({"conn_type": "postgres"}, "type 'postgres' is no log store; use `fs` or `elasticsearch`"),
    ({"conn_type": "fs"}, "extra `path` is empty; name the folder"),
    ({"conn_type": "fs", "extra": {"path": ""}}, "extra `path` is empty"),
    ({"conn_type": "fs", "extra": {"path": "/no/such/folder"}}, "`path` = '/no/such/folder' is not a folder"),
]


@pytest.mark.parametrize(("fields", "message"), BAD_LOGS)
def test_a_bad_log_connection_names_itself_and_the_value(
    connection: Callable[..., None], fields: dict[str, object], message: str
) -> None:
    connection("flywheel_logs", **fields)
    with pytest.raises(ConfigError) as refused:
        open_logs()
    assert "connection 'flywheel_logs':" in str(refused.value)
    assert message in str(refused.value)


WEBHOOKS = [
    ({"extra": {"url": "https://app.example/hooks?x=1"}}, "https://app.example/hooks?x=1"),
    ({"host": "http://app", "port": 8701, "schema": "flywheel-events"}, "http://app:8701/flywheel-events"),
    ({"host": "https://app.example", "schema": "/hooks"}, "https://app.example/hooks"),
    ({"host": "https://app.example"}, "https://app.example"),
    ({"host": "https://other", "extra": {"url": "https://app.example"}}, "https://app.example"),
]


@pytest.mark.parametrize(("fields", "url"), WEBHOOKS)
def test_a_webhook_is_the_extras_url_or_its_parts(
    connection: Callable[..., None], fields: dict[str, object], url: str
) -> None:
    connection("application", conn_type="generic", password=SECRET, **fields)
    assert find_webhook("application") == Webhook(url=url, secret=SECRET)


def test_the_secret_is_not_shown(connection: Callable[..., None]) -> None:
    connection("application", conn_type="generic", password=SECRET, extra={"url": "https://app.example"})
    webhook = find_webhook("application")
    assert webhook is not None
    assert webhook.secret == SECRET
    assert SECRET not in f"{webhook} {webhook!r}"


def test_an_application_that_nobody_configured_is_none() -> None:
    assert find_webhook("application") is None


BAD_WEBHOOKS = [
    ({"password": SECRET}, "extra `url` = None must be the webhook's http(s) address"),
    ({"password": SECRET, "host": "app.example"}, "`url` = 'app.example' must be"),
    ({"password": SECRET, "extra": {"url": "ftp://app"}}, "`url` = 'ftp://app' must be"),
    ({"extra": {"url": "https://app.example"}}, "`password` is empty; it signs the notifications"),
]


@pytest.mark.parametrize(("fields", "message"), BAD_WEBHOOKS)
def test_a_bad_webhook_is_refused_without_its_secret(
    connection: Callable[..., None], fields: dict[str, object], message: str
) -> None:
    connection("application", conn_type="generic", **fields)
    with pytest.raises(ConfigError) as refused:
        find_webhook("application")
    assert str(refused.value).startswith("connection 'application': ")
    assert message in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("value", ["{not json", json.dumps({"conn_type": "fs", "extra": "{not json"})])
def test_a_connection_that_cannot_be_read_is_an_error_with_its_name(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_FLYWHEEL_LOGS", value)
    with pytest.raises(ConfigError, match="'flywheel_logs'"):
        open_logs()

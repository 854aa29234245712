"""Connections of type `elasticsearch`: what they may say, and what goes wrong when the store is opened."""

from __future__ import annotations

import importlib.util
import logging
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from include.flywheel.errors import ConfigError
from include.flywheel.logs.elastic.store import ElasticLogStore
from include.flywheel.logs.store import LogQuery
from include.stores.logs import open_logs

OURS = LogQuery(client_id="acme", workload_id="desk")
RECORD = {"timestamp": 1_717_200_000_000, "client_id": "acme", "workload_id": "desk"}
API_KEY = "VnVhQ2ZHY0JDZGJrUW0tZTVhT3g6dWkybHAyYXhUTm1zeWFrdzl0dk5udw=="


@pytest.fixture(scope="module")
def server() -> ModuleType:
    path = Path(__file__).resolve().parents[1] / "fakes" / "elasticsearch.py"
    spec = importlib.util.spec_from_file_location("fake_elasticsearch_of_connections", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def fake(server: ModuleType) -> Iterator[Any]:
    with server.FakeElasticsearch() as running:
        yield running


def opened(connection: Callable[..., None], **fields: Any) -> ElasticLogStore:
    connection("team_logs", **({"conn_type": "elasticsearch"} | fields))
    store = open_logs("team_logs")
    assert isinstance(store, ElasticLogStore)
    return store


def test_host_port_and_schema_make_the_address(connection: Callable[..., None], fake: Any) -> None:
    port = int(fake.url.rpartition(":")[2])
    store = opened(connection, host="127.0.0.1", port=port, schema="http", extra={"index": "calls"})
    assert store.append([RECORD]).stored == 1
    assert [one["client_id"] for one in fake.documents("calls")] == ["acme"]
    assert repr(store) == "ElasticLogStore('calls')"


@pytest.mark.parametrize("hosts", ["{url}", "{url}, http://localhost:{port}", " 127.0.0.1:{port} "])
def test_a_host_may_be_an_address_or_several(connection: Callable[..., None], fake: Any, hosts: str) -> None:
    host = hosts.format(url=fake.url, port=fake.url.rpartition(":")[2])
    assert opened(connection, host=host).append([RECORD]).stored == 1


def test_extras_may_be_texts_as_the_web_page_sends_them(connection: Callable[..., None], fake: Any) -> None:
    extra = {
        "slices": "2",
        "verify_certs": "true",
        "request_timeout_seconds": "5",
        "cloud_id": "",
        "ca_certs": " ",
    }
    store = opened(connection, host=fake.url, extra=extra)
    store.append([RECORD])
    assert len(list(store.read(OURS))) == 1


@pytest.mark.parametrize("key", [API_KEY, "VuaCfGcBCdbkQm-e5aOx:ui2lp2axTNmsyakw9tvNnw"])
def test_an_api_key_lets_in_and_is_never_shown(
    connection: Callable[..., None], server: ModuleType, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    caplog.set_level(logging.DEBUG)
    with server.FakeElasticsearch(api_key=API_KEY) as fake:
        store = opened(connection, host=fake.url, extra={"api_key": key})
        assert store.append([RECORD]).stored == 1
        fake.allowed = {"ApiKey another"}
        with pytest.raises(ConfigError, match=r"refuses with 401 .* extra `api_key`") as refused:
            open_logs("team_logs")
    secrets = (key, API_KEY, b64decode(API_KEY).decode())
    shown = f"{store!r} {refused.value} {caplog.text} {vars(store)}"
    assert not any(secret in shown for secret in secrets)


def test_login_and_password_let_in(connection: Callable[..., None], server: ModuleType) -> None:
    with server.FakeElasticsearch(user=("flywheel", "pass:word")) as fake:
        store = opened(connection, host=fake.url, login="flywheel", password="pass:word")
        assert store.append([RECORD]).stored == 1
        with pytest.raises(ConfigError, match="401 security_exception") as refused:
            opened(connection, host=fake.url, login="flywheel", password="wrong-word")
        assert "wrong-word" not in str(refused.value)


def test_a_cloud_id_stands_for_the_host(
    connection: Callable[..., None], free_port: Callable[[], int]
) -> None:
    cloud = b64encode(f"localhost:{free_port()}$deployment$".encode()).decode()
    with pytest.raises(ConfigError, match="the cloud of extra `cloud_id` cannot be reached"):
        opened(connection, host="not asked", extra={"cloud_id": f"team:{cloud}"})


WRONG = [
    (
        {"host": "h", "extra": {"indx": "a"}},
        "extra `indx` is not known; type 'elasticsearch' takes `index`, `api_key`",
    ),
    (
        {"host": "h", "extra": {"slices": 0}},
        "extra `slices` cannot be used: Input should be greater than or equal to 1",
    ),
    ({"host": "h", "extra": {"api_key": ["s3cret"]}}, "extra `api_key` cannot be used"),
    ({"host": "h", "schema": "ftp"}, "schema 'ftp' must be `http` or `https`"),
    ({"host": ""}, "must be a host name or an http(s) address"),
    ({"host": "http://me:s3cret@h"}, "without user and password (they have fields of their own)"),
    ({"host": "h", "login": "me", "extra": {"api_key": "s3cret"}}, "login and extra `api_key` are both set"),
    (
        {"host": "h", "extra": {"ca_certs": "/no/such.pem"}},
        "extra `ca_certs` = '/no/such.pem' is not on this worker",
    ),
    ({"extra": {"cloud_id": "nonsense"}}, "connection 'team_logs' cannot be used"),
    (
        {"conn_type": "fs", "extra": {"path": "/tmp", "Path": "x"}},
        "extra `Path` is not known; type 'fs' takes `path`",
    ),
    ({"conn_type": "postgres"}, "type 'postgres' is no log store; use `fs` or `elasticsearch`"),
]


@pytest.mark.parametrize(("fields", "message"), WRONG, ids=[message[:40] for _, message in WRONG])
def test_a_connection_that_cannot_be_used_is_one_clear_error(
    connection: Callable[..., None], fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        opened(connection, **fields)
    assert "'team_logs'" in str(refused.value)
    assert message in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_a_server_that_is_not_there_is_a_clear_error(
    connection: Callable[..., None], free_port: Callable[[], int]
) -> None:
    with pytest.raises(
        ConfigError, match=r"'team_logs': http://127.0.0.1:\d+ cannot be reached .* check host, port"
    ):
        opened(connection, host="127.0.0.1", port=free_port())


def test_a_server_that_is_not_elasticsearch_is_a_clear_error(
    connection: Callable[..., None], server: ModuleType
) -> None:
    with (
        server.FakeElasticsearch(product="") as other,
        pytest.raises(ConfigError, match="is not Elasticsearch"),
    ):
        opened(connection, host=other.url)


def test_a_role_without_privileges_is_told_which(connection: Callable[..., None], fake: Any) -> None:
    fake.faults.add(path="_field_caps", status=403, kind="security_exception")
    with pytest.raises(ConfigError, match="privileges `read` and `view_index_metadata`"):
        opened(connection, host=fake.url)


def test_elasticsearch_8_needs_and_takes_the_setting_of_the_provider(
    connection: Callable[..., None], server: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with server.FakeElasticsearch(version="8.19.4") as eight:
        with pytest.raises(ConfigError, match=r"another major version than the client; set es_compat_with"):
            opened(connection, host=eight.url)
        monkeypatch.setenv("AIRFLOW__ELASTICSEARCH__ES_COMPAT_WITH", "8")
        store = opened(connection, host=eight.url)
        assert store.append([RECORD, RECORD | {"n": 1}]).stored == 2
        assert len(list(store.read(OURS))) == 2
        said = {one.headers["accept"] for one in eight.requests[1:]}
        said |= {one.headers["content-type"] for one in eight.requests[1:] if one.body}
    assert said == {
        "application/vnd.elasticsearch+json; compatible-with=8",
        "application/vnd.elasticsearch+x-ndjson; compatible-with=8",
    }

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from include.airflow_nemo.errors import BadConnection
from include.airflow_nemo.hook import NemoHook
from include.nemo import entities

EMPTY: dict[str, Any] = {"object": "list", "data": []}
URLS = {"data_store_url": "http://data.test", "nim_proxy_url": "http://nim.test"}
COLLECTIONS = (
    "GET /v1/datasets",
    "GET /v1/deployment/model-deployments",
    "GET /v1/customization/targets",
    "GET /v1/evaluation/jobs",
    "GET /nim/v1/models",
)


def test_a_connection_becomes_urls_token_and_namespace(nemo: Any) -> None:
    hook = NemoHook()
    assert hook.settings.urls.base_url == nemo.url
    assert hook.settings.urls.inference_url == f"{nemo.url}/nim"
    assert hook.namespace == "flywheel"
    nemo.will("GET /v1/namespaces/flywheel", {"id": "flywheel"})
    with hook.client() as client:
        assert client.send(entities.get_namespace("flywheel")).id == "flywheel"
    assert nemo.tokens == ["Bearer tok"]


def test_the_token_is_not_shown(nemo: Any) -> None:
    assert "tok" not in repr(NemoHook().settings).replace("token", "")


def test_triggers_read_the_connection_without_blocking(nemo: Any) -> None:
    nemo.will("GET /v1/namespaces/flywheel", {"id": "flywheel"})

    async def read() -> str | None:
        async with await NemoHook().async_client() as client:
            return (await client.send(entities.get_namespace("flywheel"))).id

    assert asyncio.run(read()) == "flywheel"


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"host": "nemo.test"}, "http://nemo.test"),
        ({"host": "nemo.test", "schema": "https"}, "https://nemo.test"),
        ({"host": "nemo.test", "port": 8700}, "http://nemo.test:8700"),
        ({"host": "https://nemo.test/", "port": 8443}, "https://nemo.test:8443"),
    ],
)
def test_the_host_may_be_a_url_or_in_parts(
    nemo: Any, monkeypatch: Any, fields: dict[str, Any], url: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_NEMO", nemo.connection(**fields))
    assert NemoHook().settings.urls.base_url == url


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"host": ""}, "host is empty"),
        ({"extra": {"nim_proxy_url": "http://nim.test"}}, "`data_store_url` is empty"),
        ({"extra": {"data_store_url": "http://data.test"}}, "`nim_proxy_url` is empty"),
        ({"extra": {"data_store_url": "data.test", "nim_proxy_url": "http://n"}}, "data_store_url is 'data"),
        ({"extra": None}, "is empty"),
        (
            {"extra": {"datastore_url": "http://d"}},
            "`datastore_url` is unknown; rename it to `data_store_url`",
        ),
        ({"extra": {"colour": 1}}, "`colour` is unknown; take it out"),
        ({"extra": URLS | {"max_requests_per_second": 0}}, "`max_requests_per_second` is '0'"),
        ({"extra": URLS | {"max_requests_per_second": "many"}}, "give a number above 0"),
        ({"extra": URLS | {"max_requests_per_second": "nan"}}, "give a number above 0"),
        ({"extra": URLS | {"ca_file": "/no/such.pem"}}, "ca_file is '/no/such.pem', which cannot be read"),
        ({"extra": URLS | {"client_key_file": "k.pem"}}, "client_cert_file is not set"),
    ],
)
def test_what_is_missing_is_named(nemo: Any, monkeypatch: Any, changes: dict[str, Any], words: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_NEMO", nemo.connection(**changes))
    with pytest.raises(BadConnection, match="Connection `nemo`") as refusal:
        _ = NemoHook().settings
    assert words in str(refusal.value)
    ok, message = NemoHook().test_connection()
    assert not ok
    assert words in message


def test_a_connection_that_nobody_made_is_named_with_the_remedy() -> None:
    with pytest.raises(BadConnection, match="AIRFLOW_CONN_ELSEWHERE"):
        _ = NemoHook("elsewhere").settings
    with pytest.raises(BadConnection, match="AIRFLOW_CONN_ELSEWHERE"):
        asyncio.run(NemoHook("elsewhere").aget_settings())


def test_test_connection_reports_each_service(nemo: Any) -> None:
    for collection in COLLECTIONS:
        nemo.will(collection, EMPTY)
    nemo.will("GET /nim/v1/models", {"data": [{"id": "m"}]})
    ok, message = NemoHook().test_connection()
    assert ok
    assert message.splitlines() == [
        "Entity Store: answers, empty",
        "Data Store: answers; namespace flywheel is made by the first run",
        "Deployment: answers, empty",
        "Customizer: answers, empty",
        "Evaluator: answers, empty",
        "NIM proxy: serves 1 models",
    ]


def test_test_connection_names_the_service_that_fails(nemo: Any) -> None:
    for collection in COLLECTIONS:
        nemo.will(collection, EMPTY)
    nemo.will("GET /v1/datastore/namespaces/flywheel", (201, {"namespace": "flywheel"}))
    nemo.will("GET /v1/customization/targets", (503, {"detail": "starting"}))
    ok, message = NemoHook().test_connection()
    assert not ok
    failed = [line for line in message.splitlines() if "failed" in line]
    assert len(failed) == 1
    assert "Customizer" in failed[0]
    assert "starting" in failed[0]


def test_a_page_of_somebody_else_is_no_data_store(nemo: Any) -> None:
    nemo.will("GET /v1/datastore/namespaces/flywheel", (404, "<html>404 page not found</html>"))
    _, message = NemoHook().test_connection()
    assert "Data Store at" in message


def test_the_namespace_has_a_default(nemo: Any, monkeypatch: Any) -> None:
    extra = json.loads(nemo.connection())["extra"] | {"namespace": ""}
    monkeypatch.setenv("AIRFLOW_CONN_NEMO", nemo.connection(extra=extra))
    assert NemoHook().namespace == "default"


def test_the_data_store_uses_the_connection(nemo: Any) -> None:
    nemo.will("POST /v1/hf/api/repos/create", {"url": "datasets/flywheel/fw-1"})
    NemoHook().data_store().ensure_repo("flywheel/fw-1")
    assert nemo.seen == ["POST /v1/hf/api/repos/create"]
    assert nemo.tokens == ["Bearer tok"]


def test_what_the_form_left_empty_has_its_default(nemo: Any, monkeypatch: Any) -> None:
    empty = dict.fromkeys(("namespace", "max_requests_per_second", "ca_file", "client_key_file"))
    monkeypatch.setenv("AIRFLOW_CONN_NEMO", nemo.connection(extra=URLS | empty))
    settings = NemoHook().settings
    assert (settings.namespace, settings.max_requests_per_second, settings.tls) == ("default", 50.0, None)


def test_a_rate_may_be_text(nemo: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_NEMO", nemo.connection(extra=URLS | {"max_requests_per_second": "2.5"}))
    assert NemoHook().settings.max_requests_per_second == 2.5

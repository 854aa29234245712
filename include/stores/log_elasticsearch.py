"""The log store in Elasticsearch behind a connection, through the provider's hook."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlsplit

from airflow.providers.elasticsearch.hooks.elasticsearch import ElasticsearchPythonHook
from airflow.sdk import Connection
from elasticsearch import ApiError, Elasticsearch, TransportError, UnsupportedProductError

from include.flywheel.errors import ConfigError
from include.flywheel.logs.elastic.codec import HitsSerializer
from include.flywheel.logs.elastic.errors import reason_of, remedy
from include.flywheel.logs.elastic.store import ElasticLogStore
from include.stores.log_extras import ElasticExtras

DEFAULT_PORT = 9200


def open_elasticsearch(connection: Connection, extras: ElasticExtras) -> ElasticLogStore:
    """The log store in Elasticsearch behind a connection.

    Raises ConfigError for values that cannot be used, and for a server that cannot be reached, does not let
    in, or is not Elasticsearch. The index need not be there yet.
    """
    # Otherwise a line for every page that is read.
    logging.getLogger("elastic_transport.transport").setLevel(logging.WARNING)
    hosts = None if extras.cloud_id else _hosts(connection)
    try:
        arguments = _client_arguments(connection, extras)
        client = ElasticsearchPythonHook(hosts=hosts, es_conn_args=arguments).get_conn  # type: ignore[arg-type]
    except (ValueError, OSError) as error:
        raise ConfigError(f"connection {connection.conn_id!r} cannot be used: {error}") from error
    _check(client, connection.conn_id, extras, hosts)
    return ElasticLogStore(client, extras.index, slices=extras.slices)


def _hosts(connection: Connection) -> list[str]:
    """`https://host:9200` for each host; several are separated by commas."""
    schema = connection.schema or "http"
    if schema not in ("http", "https"):
        raise ConfigError(
            f"connection {connection.conn_id!r}: schema {schema!r} must be `http` or `https`; "
            "the index is named in extra `index`"
        )
    hosts = []
    for host in (one.strip() for one in (connection.host or "").split(",")):
        address = urlsplit(host if "://" in host else f"{schema}://{host}")
        if not address.hostname or address.scheme not in ("http", "https") or address.username:
            raise ConfigError(
                f"connection {connection.conn_id!r}: host {address.hostname or host!r} must be a host name "
                "or an http(s) address without user and password (they have fields of their own), or set "
                "extra `cloud_id`"
            )
        port = address.port or connection.port or (443 if "://" in host else DEFAULT_PORT)
        name = f"[{address.hostname}]" if ":" in address.hostname else address.hostname
        hosts.append(f"{address.scheme}://{name}:{port}{address.path.rstrip('/')}")
    return hosts


def _client_arguments(connection: Connection, extras: ElasticExtras) -> dict[str, Any]:
    if extras.api_key and connection.login:
        raise ConfigError(
            f"connection {connection.conn_id!r}: login and extra `api_key` are both set; keep one of them"
        )
    arguments: dict[str, Any] = {
        "request_timeout": extras.request_timeout_seconds,
        "serializers": {HitsSerializer.mimetype: HitsSerializer()},
    }
    if extras.cloud_id:
        arguments["cloud_id"] = extras.cloud_id
    if extras.api_key:
        key = extras.api_key.get_secret_value()
        # As `id:key`, or encoded as Elasticsearch shows it.
        arguments["api_key"] = tuple(key.split(":", 1)) if ":" in key else key
    elif connection.login:
        arguments["basic_auth"] = (connection.login, connection.password or "")
    if extras.ca_certs is not None:
        if not extras.ca_certs.exists():
            raise ConfigError(
                f"connection {connection.conn_id!r}: extra `ca_certs` = {str(extras.ca_certs)!r} is not on "
                "this worker"
            )
        arguments["ca_certs"] = str(extras.ca_certs)
    if not extras.verify_certs:
        arguments["verify_certs"] = False
    return arguments


def _check(client: Elasticsearch, conn_id: str, extras: ElasticExtras, hosts: list[str] | None) -> None:
    """Raise ConfigError unless this is an Elasticsearch that lets us read; the index may be missing yet."""
    where = f"connection {conn_id!r}: {', '.join(hosts) if hosts else 'the cloud of extra `cloud_id`'}"
    try:
        client.field_caps(
            index=extras.index, fields="timestamp", ignore_unavailable=True, allow_no_indices=True
        )
    except UnsupportedProductError as error:
        raise ConfigError(f"{where} is not Elasticsearch (or a proxy removes its headers)") from error
    except ApiError as error:
        if "media_type_header" in str(error.body):
            raise ConfigError(
                f"{where} is an Elasticsearch of another major version than the client; set es_compat_with "
                "in section [elasticsearch] of the Airflow configuration (8 for Elasticsearch 8)"
            ) from error
        raise ConfigError(
            f"{where} refuses with {error.status_code} {reason_of(error)}{remedy(error.status_code)}"
        ) from error
    except TransportError as error:
        raise ConfigError(
            f"{where} cannot be reached ({type(error).__name__}: {str(error)[:200]}); check host, port and "
            "schema, and for https extras `ca_certs` and `verify_certs`"
        ) from error

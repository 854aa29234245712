"""From an Airflow connection of type `nemo` to what the client needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from include.airflow_nemo.errors import BadConnection
from include.nemo.urls import NemoUrls

if TYPE_CHECKING:
    from airflow.sdk import Connection

DEFAULT_NAMESPACE = "default"


@dataclass(frozen=True, slots=True)
class NemoSettings:
    """Where NeMo is, as whom to ask, and in which namespace to work."""

    urls: NemoUrls
    token: str | None = field(repr=False)
    namespace: str


def settings_of(connection: Connection, extra: Mapping[str, Any]) -> NemoSettings:
    """The settings of a connection and its decoded extra.

    The host may be a whole URL; else scheme (`schema`, http by default), host and port make one.
    Raises BadConnection where a URL is missing or malformed.
    """
    conn_id = connection.conn_id
    try:
        urls = NemoUrls(
            base_url=_base_url(connection),
            data_store_url=_url(extra, "data_store_url"),
            inference_url=_url(extra, "nim_proxy_url"),
        )
    except ValueError as error:
        raise BadConnection(f"Connection `{conn_id}` (type nemo) cannot be used: {error}.") from error
    namespace = str(extra.get("namespace") or "").strip() or DEFAULT_NAMESPACE
    return NemoSettings(urls=urls, token=connection.password or None, namespace=namespace)


def _base_url(connection: Connection) -> str:
    host = (connection.host or "").strip()
    if not host:
        raise ValueError("the host is empty; give NeMo's URL, for example http://nemo.example")
    url = host if "://" in host else f"{connection.schema or 'http'}://{host}"
    return f"{url.rstrip('/')}:{connection.port}" if connection.port else url


def _url(extra: Mapping[str, Any], field_name: str) -> str:
    value = str(extra.get(field_name) or "").strip()
    if not value:
        raise ValueError(f"the extra field `{field_name}` is empty; give the service's URL")
    return value

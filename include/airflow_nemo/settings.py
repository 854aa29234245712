"""From an Airflow connection of type `nemo` to what the client needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from include.airflow_nemo.errors import BadConnection
from include.nemo.settings import (
    DEFAULT_MAX_REQUESTS_PER_SECOND,
    DEFAULT_NAMESPACE,
    EXTRA_FIELDS,
    NemoSettings,
    settings_from,
)

if TYPE_CHECKING:
    from airflow.sdk import Connection

__all__ = [
    "DEFAULT_MAX_REQUESTS_PER_SECOND",
    "DEFAULT_NAMESPACE",
    "EXTRA_FIELDS",
    "NemoSettings",
    "settings_of",
]


def settings_of(connection: Connection, extra: Mapping[str, Any]) -> NemoSettings:
    """The settings of a connection and its decoded extra.

    Raises BadConnection where a URL is missing or malformed, a field of the extra unknown, a rate not
    above 0, or a certificate file unusable.
    """
    try:
        return settings_from(
            host=connection.host,
            schema=connection.schema,
            port=connection.port,
            token=connection.password,
            extra=extra,
        )
    except ValueError as error:
        words = str(error).rstrip(".")
        message = f"Connection `{connection.conn_id}` (type nemo) cannot be used: {words}."
        raise BadConnection(message) from error

"""The application that is told how a run ended: URL and signing secret of its connection."""

from __future__ import annotations

from dataclasses import dataclass, field

from include.flywheel.errors import ConfigError
from include.stores import connections


@dataclass(frozen=True)
class Webhook:
    """Where notifications go. The secret stays out of `repr`."""

    url: str
    secret: str = field(repr=False)


def find_webhook(conn_id: str) -> Webhook | None:
    """The webhook of a connection; None when the connection does not exist.

    The URL is the extra `url`, or else `host` (with scheme), `port` and `schema` as path; the secret is the
    password. Raises ConfigError when there is a connection but no URL or no secret.
    """
    connection = connections.find(conn_id)
    if connection is None:
        return None
    url = connection.extra_dejson.get("url") or _from_parts(
        connection.host, connection.port, connection.schema
    )
    if not url or not url.startswith(("http://", "https://")):
        raise ConfigError(
            f"connection {conn_id!r}: extra `url` = {url!r} must be the webhook's http(s) address"
        )
    if not connection.password:
        raise ConfigError(f"connection {conn_id!r}: `password` is empty; it signs the notifications")
    return Webhook(url=url, secret=connection.password)


def _from_parts(host: str | None, port: int | None, path: str | None) -> str | None:
    if not host:
        return None
    address = host if port is None else f"{host}:{port}"
    return f"{address}/{path.lstrip('/')}" if path else address

"""A remote judge: its URL and the key of its connection."""

from __future__ import annotations

from include.flywheel.config.judge import JudgeConfig, check_host
from include.flywheel.errors import ConfigError
from include.flywheel.evaluation.judging.asking import JudgeEndpoint
from include.stores import connections


def open_remote_judge(config: JudgeConfig) -> JudgeEndpoint:
    """Where a remote judge is asked, and with which key.

    The URL is the configuration's, else the connection's host (with scheme and path); the key is the
    connection's password. Raises ConfigError where there is no URL, no such connection, or the host may not
    judge.
    """
    url, headers = config.url, {}
    if config.conn_id is not None:
        connection = connections.get(config.conn_id, "the judge")
        url = url or _url(connection.host, connection.schema, connection.port)
        if connection.password:
            headers["Authorization"] = f"Bearer {connection.password}"
    if not url:
        raise ConfigError(
            f"`judge.url` is null and connection {config.conn_id!r} has no host: give one of them, for "
            "example https://judge.example/v1"
        )
    check_host(url)
    return JudgeEndpoint(url, headers)


def _url(host: str | None, schema: str | None, port: int | None) -> str | None:
    """The host may hold a whole address; Airflow's http connections have the scheme beside it."""
    if not host:
        return None
    if "://" in host:
        return host
    return f"{schema or 'https'}://{host}{f':{port}' if port else ''}"

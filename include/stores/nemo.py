"""NeMo Microservices behind the connection `nemo`, for what runs outside tasks.

Tasks and triggers use `NemoHook`, which reads the same connection.
"""

from __future__ import annotations

from dataclasses import dataclass

from include.flywheel.errors import ConfigError
from include.nemo import NemoClient, RetryPolicy
from include.nemo.datastore import DataStore
from include.nemo.settings import NemoSettings, settings_from
from include.stores import connections

CONN_ID = "nemo"


@dataclass(frozen=True)
class Nemo:
    """What opens clients; each request may take `timeout_seconds`."""

    settings: NemoSettings
    timeout_seconds: float = 30.0
    retries: RetryPolicy | None = None

    @property
    def namespace(self) -> str:
        """The namespace to work in."""
        return self.settings.namespace

    def client(self) -> NemoClient:
        """A client; close it, or use it in a `with`."""
        settings = self.settings
        return NemoClient(
            settings.urls, settings.token, self.timeout_seconds, retries=self.retries, tls=settings.tls
        )

    def data_store(self) -> DataStore:
        """The Data Store's repos and files."""
        settings = self.settings
        return DataStore(
            settings.urls,
            settings.token,
            timeout_seconds=self.timeout_seconds,
            retries=self.retries,
            tls=settings.tls,
        )


def open_nemo(*, timeout_seconds: float = 30.0, retries: RetryPolicy | None = None) -> Nemo:
    """NeMo behind the connection. Raises ConfigError where it is missing or cannot be used."""
    connection = connections.get(CONN_ID, "NeMo Microservices")
    try:
        settings = settings_from(
            host=connection.host,
            schema=connection.schema,
            port=connection.port,
            token=connection.password,
            extra=connection.extra_dejson,
        )
    except ValueError as error:
        raise ConfigError(f"connection {CONN_ID!r} cannot be used: {error}") from None
    return Nemo(settings, timeout_seconds, retries)

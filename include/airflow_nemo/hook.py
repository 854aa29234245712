"""NemoHook: a `nemo` connection made into clients."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from include.airflow_nemo.errors import BadConnection
from include.airflow_nemo.settings import NemoSettings, settings_of
from include.airflow_nemo.sharing import SharedClient, shared_client
from include.nemo import NO_RETRIES, AsyncNemoClient, NemoClient, RetryPolicy, Service
from include.nemo.datastore import DataStore
from include.nemo.errors import NemoError, NotFound
from include.nemo.probes import probe

PROBE_TIMEOUT_SECONDS = 5.0


class NemoHook(BaseHook):
    """Clients for the NeMo Microservices of one connection.

    The connection's host is NeMo's URL, its password the token (optional). Its extra holds
    `data_store_url`, `nim_proxy_url`, `namespace`, `max_requests_per_second` (of the triggers of one
    triggerer, to one host; 50 by default), and for https `ca_file`, `client_cert_file`,
    `client_key_file` (paths of PEM files that workers and triggerers can read).

    :param nemo_conn_id: the connection; "nemo" by default.
    :param timeout_seconds: limit for connecting, each read and each write; 30 by default.
    """

    conn_name_attr = "nemo_conn_id"
    default_conn_name = "nemo"
    conn_type = "nemo"
    hook_name = "NVIDIA NeMo Microservices"

    def __init__(self, nemo_conn_id: str = default_conn_name, *, timeout_seconds: float = 30.0) -> None:
        super().__init__()
        self.nemo_conn_id = nemo_conn_id
        self.timeout_seconds = timeout_seconds

    @functools.cached_property
    def settings(self) -> NemoSettings:
        """What the connection says. Raises BadConnection where it says too little."""
        try:
            connection = self.get_connection(self.nemo_conn_id)
        except AirflowNotFoundException:
            raise self._unknown() from None
        return settings_of(connection, connection.extra_dejson)

    @property
    def namespace(self) -> str:
        """The namespace to work in."""
        return self.settings.namespace

    def get_conn(self) -> NemoClient:
        """The client, as Airflow's hooks name it."""
        return self.client()

    def client(self, *, retries: RetryPolicy | None = None) -> NemoClient:
        """A synchronous client; close it, or use it in a `with`."""
        settings = self.settings
        return NemoClient(
            settings.urls, settings.token, self.timeout_seconds, retries=retries, tls=settings.tls
        )

    async def aget_settings(self) -> NemoSettings:
        """The settings, read without blocking the event loop (for triggers)."""
        if "settings" not in self.__dict__:
            try:
                connection = await self.aget_connection(self.nemo_conn_id)
            except AirflowNotFoundException:
                raise self._unknown() from None
            self.__dict__["settings"] = settings_of(connection, await connection.aextra_dejson())
        return self.settings

    async def async_client(self, *, retries: RetryPolicy | None = None) -> AsyncNemoClient:
        """An asynchronous client of one's own: `async with await hook.async_client() as nemo`."""
        settings = await self.aget_settings()
        return AsyncNemoClient(
            settings.urls, settings.token, self.timeout_seconds, retries=retries, tls=settings.tls
        )

    @asynccontextmanager
    async def shared_client(self) -> AsyncIterator[SharedClient]:
        """The event loop's client for this connection, paced: `async with hook.shared_client() as nemo`.

        For triggers: however many wait, they share its connections and its rate.
        """
        async with shared_client(await self.aget_settings(), self.timeout_seconds) as client:
            yield client

    def data_store(self) -> DataStore:
        """The Data Store's repos and files."""
        return DataStore(self.settings.urls, self.settings.token, tls=self.settings.tls)

    def test_connection(self) -> tuple[bool, str]:
        """Ask every service once; the message has a line for each."""
        try:
            settings = self.settings
        except BadConnection as error:
            return False, str(error)
        probing = NemoClient(
            settings.urls, settings.token, PROBE_TIMEOUT_SECONDS, retries=NO_RETRIES, tls=settings.tls
        )
        with probing as nemo:
            answers = [_probe(nemo, service, settings.namespace) for service in Service]
        return all(ok for ok, _ in answers), "\n".join(line for _, line in answers)

    def _unknown(self) -> BadConnection:
        return BadConnection(
            f"There is no connection `{self.nemo_conn_id}`. Create it with type `nemo`, "
            f"or set AIRFLOW_CONN_{self.nemo_conn_id.upper()}."
        )


def _probe(nemo: NemoClient, service: Service, namespace: str) -> tuple[bool, str]:
    try:
        return True, f"{service.value}: {nemo.send(probe(service, namespace))}"
    except NotFound as error:
        somebody_elses_page = error.detail.startswith("<")
        if service is Service.DATA_STORE and not somebody_elses_page:
            return True, f"{service.value}: answers; namespace {namespace} is made by the first run"
        return False, str(error)
    except NemoError as error:
        return False, str(error)

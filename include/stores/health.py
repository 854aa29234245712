"""Whether what stands behind the connections answers. No answer holds a login, a password or a token."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from time import perf_counter

from pymongo.errors import PyMongoError

from include.flywheel.errors import ConfigError, FlywheelError
from include.nemo import NO_RETRIES, NemoClient, Service
from include.nemo.errors import NemoError, NotFound
from include.nemo.health import simulated
from include.nemo.probes import probe
from include.stores.application import find_webhook
from include.stores.feedback import connect
from include.stores.feedback_judgements import is_configured
from include.stores.logs import open_logs
from include.stores.mongo import open_database
from include.stores.nemo import open_nemo

_WORKERS = 7
_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Checked:
    """What one dependency said. `latency_ms`: until it had answered, or failed to."""

    name: str
    ok: bool
    detail: str
    latency_ms: float


def check_runs() -> Checked:
    """MongoDB, where the run documents are."""
    return _checked("mongodb", lambda: str(open_database().command("ping") and "answers"))


def check_logs(conn_id: str) -> Checked:
    """A log store: it can be opened, which asks a server whether it is there."""
    return _checked(f"logs:{conn_id}", lambda: f"{type(open_logs(conn_id)).__name__} answers")


def check_application(conn_id: str) -> Checked:
    """Whether the connection of an application is complete; the application itself is not bothered."""

    def words() -> str:
        if find_webhook(conn_id) is None:
            raise ConfigError(f"connection {conn_id!r} is not configured: nobody is told how a run ends")
        return "configured"

    return _checked(f"application:{conn_id}", words)


def check_feedback() -> Checked:
    """The feedback database, with this program's tables. Fine where none is configured: it is not needed."""

    def words() -> str:
        if not is_configured():
            return "not configured: no feedback is used"
        try:
            connection = connect()
        except ConfigError:
            # Its words name the user.
            raise ConfigError(
                "does not answer, or refuses its connection; python -m include.cli.feedback says which"
            ) from None
        with closing(connection), connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('schema_migrations') IS NOT NULL")
            if not cursor.fetchone()[0]:
                raise ConfigError("has no tables: run `python -m include.cli.feedback migrate`")
        return "answers"

    return _checked("feedback", words)


@dataclass(frozen=True)
class NemoChecked:
    """Each of NeMo's services. `simulated`: whether the local stand-in took its place; None: nobody says."""

    services: list[Checked]
    simulated: bool | None = None


def check_nemo() -> NemoChecked:
    """Each of NeMo's services, asked side by side; one entry that says why, where none can be asked."""
    try:
        nemo = open_nemo(timeout_seconds=_TIMEOUT_SECONDS, retries=NO_RETRIES)
        with nemo.client() as client, ThreadPoolExecutor(_WORKERS) as pool:
            stand_in = pool.submit(_is_simulated, client)
            services = list(pool.map(lambda one: _check_service(client, one, nemo.namespace), Service))
            return NemoChecked(services, stand_in.result())
    except Exception as error:
        return NemoChecked([Checked("nemo", ok=False, detail=_said(error), latency_ms=0.0)])


def _is_simulated(nemo: NemoClient) -> bool | None:
    try:
        return nemo.send(simulated())
    except NemoError:
        # The real services need not know that path.
        return None


def _check_service(nemo: NemoClient, service: Service, namespace: str) -> Checked:
    def words() -> str:
        try:
            return nemo.send(probe(service, namespace))
        except NotFound as error:
            # Before the first run nobody has made the namespace; a page of HTML is somebody else's server.
            if service is Service.DATA_STORE and not error.detail.startswith("<"):
                return f"answers; namespace {namespace} is made by the first run"
            raise

    return _checked(f"nemo:{service.value}", words)


def _checked(name: str, words: Callable[[], str]) -> Checked:
    began = perf_counter()
    try:
        ok, detail = True, words()
    except Exception as error:
        ok, detail = False, _said(error)
    return Checked(name, ok, detail, round((perf_counter() - began) * 1000, 1))


def _said(error: Exception) -> str:
    """Our own errors name no secret; of a library's only the kind is said: its text may hold an address."""
    if isinstance(error, FlywheelError | NemoError):
        return str(error)
    if isinstance(error, PyMongoError):
        return f"does not answer ({type(error).__name__})"
    return f"cannot be asked ({type(error).__name__}): see the log"

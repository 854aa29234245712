"""The removal of a run with all that it made in NeMo, in the staging store and in MongoDB.

The Customizer cannot delete jobs: those that are over stay in its list, without model and without data.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from include.flywheel.errors import FlywheelError
from include.flywheel.runs import ids
from include.flywheel.runs.removal import NotRemoved, Part, Removed, last_tasks, remove
from include.nemo import NemoClient, RetryPolicy, customizer, ending
from include.nemo.errors import NemoError
from include.stores import staging
from include.stores.leases import open_leases
from include.stores.nemo import Nemo, open_nemo
from include.stores.runs import open_runs
from include.stores.upkeep import open_archive

__all__ = ["Removed", "remove_dataset", "remove_run"]

DEFAULT_LIMIT_SECONDS = 60.0
_REQUEST_SECONDS = 15.0
_POLL_SECONDS = 0.25
# What does not answer soon is tried again by the next delete, or by upkeep.
_RETRIES = RetryPolicy(tries=2, max_seconds=1.0, longest_retry_after_seconds=1.0)


def remove_run(
    job_id: str,
    requested_by: str,
    limit_seconds: float = DEFAULT_LIMIT_SECONDS,
    *,
    dag_run_is_over: bool = False,
) -> Removed:
    """Remove a run that is over, and all that it made; what is left is said, and stays written down.

    After `limit_seconds` nothing more is begun; a request that is under way ends first. `dag_run_is_over`:
    Airflow has said so, its last tasks need not be waited for.
    Raises StateError where there is no such run, or it is live ("cancel it first").
    """
    deadline = time.monotonic() + limit_seconds
    runs = open_runs()
    remains = _Remains(job_id, deadline, max(1.0, min(_REQUEST_SECONDS, limit_seconds)))
    waiting = last_tasks(runs, job_id, deadline, dag_run_is_over=dag_run_is_over)
    return remove(runs, open_archive(), job_id, requested_by, [*remains.parts(), waiting])


def remove_dataset(job_id: str) -> None:
    """Delete the run's data set alone. Raises NemoError, ConfigError."""
    nemo = open_nemo()
    with nemo.client() as client:
        ending.delete_dataset(client, nemo.data_store(), nemo.namespace, ids.dataset(job_id))


@dataclass(frozen=True)
class _Remains:
    """What a run has left behind outside MongoDB, by its names alone."""

    job_id: str
    deadline: float
    request_seconds: float

    def parts(self) -> list[Part]:
        """In the order of removal: what costs money, then what holds data, then what it stood on."""
        return [
            Part("deployments", self._in_nemo(self._deployments), frees=True),
            Part("customization jobs", self._in_nemo(self._customizations), frees=True),
            Part("evaluation jobs", self._in_nemo(self._evaluations), frees=True),
            Part("GPU leases", self._step(self._leases), only_when_freed=True),
            Part("customized models", self._in_nemo(self._models)),
            Part("data set", self._in_nemo(self._dataset)),
            Part("staging files", self._step(lambda: staging.remove(self.job_id))),
        ]

    def _deployments(self, nemo: Nemo, client: NemoClient) -> None:
        prefix = ids.deployment(self.job_id, "")[: len("fw-") + 8]
        self._until_gone(
            "undeployed",
            lambda: ending.undeploy(
                client, nemo.namespace, ids.project(self.job_id), lambda name: name.startswith(prefix)
            ),
        )

    def _customizations(self, nemo: Nemo, client: NemoClient) -> None:
        """Those that are over stay in the Customizer's list."""
        self._until_gone(
            "cancelled",
            lambda: ending.cancel_jobs(
                client, nemo.namespace, ids.project(self.job_id), services=[customizer]
            ),
        )

    def _evaluations(self, nemo: Nemo, client: NemoClient) -> None:
        self._until_gone(
            "deleted",
            lambda: ending.delete_evaluations(client, nemo.namespace, ids.project(self.job_id)),
        )

    def _models(self, nemo: Nemo, client: NemoClient) -> None:
        prefix = f"fw-{self.job_id}-"
        ending.delete_models(
            client,
            nemo.data_store(),
            nemo.namespace,
            ids.project(self.job_id),
            lambda name: name.startswith(prefix),
        )

    def _dataset(self, nemo: Nemo, client: NemoClient) -> None:
        ending.delete_dataset(client, nemo.data_store(), nemo.namespace, ids.dataset(self.job_id))

    def _leases(self) -> None:
        open_leases().forget(self.job_id)

    def _in_nemo(self, work: Callable[[Nemo, NemoClient], None]) -> Callable[[], None]:
        def do() -> None:
            nemo = open_nemo(timeout_seconds=self.request_seconds, retries=_RETRIES)
            with nemo.client() as client:
                work(nemo, client)

        return self._step(do)

    def _step(self, work: Callable[[], None]) -> Callable[[], None]:
        def step() -> None:
            with _saying_why():
                self._check_time()
                work()

        return step

    def _until_gone(self, done: str, found: Callable[[], int]) -> None:
        while left := found():
            if time.monotonic() > self.deadline:
                raise NotRemoved(f"{left} told to end, not {done} yet")
            time.sleep(_POLL_SECONDS)

    def _check_time(self) -> None:
        if time.monotonic() > self.deadline:
            raise NotRemoved("not tried: the time was over before")


@contextmanager
def _saying_why() -> Iterator[None]:
    """What the services, the stores and the connections may raise, as NotRemoved."""
    try:
        yield
    except NotRemoved:
        raise
    except (FlywheelError, NemoError, OSError) as error:
        raise NotRemoved(str(error)) from error

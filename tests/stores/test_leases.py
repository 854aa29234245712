"""The GPU leases behind the connection `flywheel_runs`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo.database import Database

from include.flywheel.errors import ConfigError
from include.flywheel.runs.leases.model import LeaseKind, LeaseRequest
from include.stores import leases


@pytest.fixture(autouse=True)
def _fresh_client() -> Iterator[None]:
    """The client is kept for the process: another connection needs another."""
    leases._open.cache_clear()
    yield
    leases._open.cache_clear()


def test_leases_are_in_the_database_that_the_connection_names(
    connection: Callable[..., None], mongo_uri: str, mongo_database: Database[dict[str, Any]]
) -> None:
    address = urlsplit(mongo_uri)
    connection(
        "flywheel_runs",
        conn_type="mongo",
        host=address.hostname,
        port=address.port,
        login=address.username,
        password=address.password,
        schema=mongo_database.name,
    )
    repository = leases.open_leases()
    request = LeaseRequest(job_id="j", slug="s", kind=LeaseKind.SERVING, gpus=1, total=1, try_number=1)
    assert repository.take(request).granted
    assert mongo_database["leases"].count_documents({"_id": "gpus", "version": 1}) == 1
    assert leases.open_leases() is repository


def test_without_its_connection_it_says_what_is_missing() -> None:
    with pytest.raises(ConfigError, match=r"'flywheel_runs' \(MongoDB for run state\) is not configured"):
        leases.open_leases()

"""The run repository behind the connection `flywheel_runs`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo.database import Database

from include.flywheel.errors import ConfigError
from include.flywheel.runs.documents import RunDocument, now
from include.stores import runs


@pytest.fixture(autouse=True)
def _fresh_client() -> Iterator[None]:
    """The client is kept for the process: another connection needs another."""
    runs._open.cache_clear()
    yield
    runs._open.cache_clear()


def run() -> RunDocument:
    return RunDocument(
        job_id="a" * 24, dag_id="d", run_id="r", client_id="c", workload_id="w", created_at=now()
    )


def test_runs_are_in_the_database_that_the_connection_names(
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
    repository = runs.open_runs()
    repository.open(run())
    assert mongo_database["runs"].count_documents({"job_id": "a" * 24}) == 1
    assert runs.open_runs() is repository


def test_without_its_connection_it_says_what_is_missing() -> None:
    with pytest.raises(ConfigError, match=r"'flywheel_runs' \(MongoDB for run state\) is not configured"):
        runs.open_runs()

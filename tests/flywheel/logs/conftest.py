"""The Elasticsearch stand-in, loaded by its path: its name is that of the client library."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from elasticsearch import Elasticsearch

from include.flywheel.logs.elastic.codec import HitsSerializer
from include.flywheel.logs.elastic.store import ElasticLogStore

FAKE = Path(__file__).resolve().parents[2] / "fakes" / "elasticsearch.py"


@pytest.fixture(scope="session")
def fake_module() -> ModuleType:
    name = "fake_elasticsearch"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, FAKE)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture
def fake(fake_module: ModuleType) -> Iterator[Any]:
    with fake_module.FakeElasticsearch() as server:
        yield server


@pytest.fixture
def connect(fake: Any) -> Callable[..., ElasticLogStore]:
    """A store in the stand-in: `connect("flywheel", slices=2)`."""

    def open_store(index: str = "flywheel", **options: Any) -> ElasticLogStore:
        return ElasticLogStore(client_of(fake.url), index, pause_seconds=0.01, **options)

    return open_store


def client_of(url: str) -> Elasticsearch:
    # Pauses between the client's repetitions would only be waited for.
    return Elasticsearch(
        url, serializers={"application/json": HitsSerializer()}, retry_backoff_base=0.001, request_timeout=5
    )

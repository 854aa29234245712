"""rsyslog shipping to the Elasticsearch stand-in, each in a process and a folder of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from shipping import Rsyslog, Store, need_rsyslog


@pytest.fixture(scope="session")
def rsyslogd() -> str:
    return need_rsyslog()


@pytest.fixture
def store(rsyslogd: str, tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Store]:
    """Not started. Depends on rsyslog, so that nothing is started in vain."""
    one = Store(tmp_path, free_port())
    yield one
    one.stop()


@pytest.fixture
def rsyslog(rsyslogd: str, tmp_path: Path, store: Store) -> Iterator[Rsyslog]:
    """Not started."""
    one = Rsyslog(rsyslogd, tmp_path, store.url)
    yield one
    one.kill()

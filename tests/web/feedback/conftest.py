"""The feedback API on a real socket, on a live PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from include.flywheel.feedback.keys import make_key
from include.stores.feedback import FeedbackPlace, connect
from include.web.feedback.app import create_app
from include.web.feedback.keys import Rate
from include.web.feedback.opening import Feedback

_READY_SECONDS = 20.0
FAST = Rate(per_second=100_000, burst=100_000)


@contextmanager
def serve(app: FastAPI, port: int) -> Iterator[httpx.Client]:
    """The application in a thread; a client of it."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + _READY_SECONDS
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def place(feedback_server: Any) -> Iterator[FeedbackPlace]:
    """One database for the tests of a module."""
    with feedback_server.database() as made:
        yield made


@pytest.fixture(scope="module")
def api(
    place: FeedbackPlace, free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A client of the API that is served without keys."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLYWHEEL_EXPORT_ROOT", str(tmp_path_factory.mktemp("exports")))
        with serve(create_app(Feedback(lambda: place), needs_key=False), free_port()) as client:
            yield client


@pytest.fixture
def key_of(place: FeedbackPlace) -> Callable[..., dict[str, str]]:
    """Makes a key, as the header that shows it."""

    def make(name: str, project: str | None = None) -> dict[str, str]:
        with closing(connect(place)) as connection:
            return {"Authorization": f"Bearer {make_key(connection, name, project)}"}

    return make


@pytest.fixture
def exports(api: httpx.Client) -> Path:
    """The export root of `api`."""
    import os  # noqa: PLC0415

    return Path(os.environ["FLYWHEEL_EXPORT_ROOT"])

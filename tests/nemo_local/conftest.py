"""One server for the session, and a clean one where a test changes what others see."""

import os
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import pytest
import uvicorn
from flywheel_client import Client

from include.nemo_local.app import create_app
from include.nemo_local.settings import Settings

FAST = {
    "deploy_seconds": 0.05,
    "evaluation_seconds": 0.05,
    "training_seconds": 0.05,
    "adapter_listing_seconds": 0.05,
}


@contextmanager
def serving(data_dir, **settings):
    """A client of a server in a thread of this process, on a free port."""
    app = create_app(Settings(data_dir=data_dir, **(FAST | settings)))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server ended before it was ready"
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        with Client(f"http://127.0.0.1:{port}") as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(5)
        assert not thread.is_alive(), "the server did not end within 5 s"


@pytest.fixture(scope="session")
def client(tmp_path_factory):
    """The session's server. Tests use names of their own and clear the faults that they inject."""
    with serving(tmp_path_factory.mktemp("nemo_local"), gpus=64) as shared:
        yield shared


@pytest.fixture
def start(tmp_path):
    """Starts servers of the test's own: `with start(gpus=2) as client`."""
    return lambda **settings: serving(tmp_path / "data", **settings)

"""One installation for the whole suite: the one that NEMO_URL names, else the stand-in as a process.

NEMO_URL (DATA_STORE_URL and NIM_URL beside it; NEMO_TOKEN, NEMO_MODEL, NEMO_CUSTOMIZATION_CONFIG where the
defaults do not fit; NEMO_EMBEDDING_MODEL where there is a GPU for one) makes the suite run against a real
one, in a namespace of its own that it clears again.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "nemo_local")]
os.environ["HF_HUB_DISABLE_XET"] = "1"
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

from contract_faces import Face, Installation, Official, Ours, Refused  # noqa: E402
from contract_stand_in import StandIn  # noqa: E402

from include.nemo import NemoUrls  # noqa: E402

MODEL = "meta/llama-3.2-1b-instruct"
EMBEDDING_MODEL = "nvidia/llama-3.2-nv-embedqa-1b-v2"
END = ("completed", "failed", "cancelled")
_POLL_SECONDS = {True: 10.0, False: 0.05}


@pytest.fixture(scope="session")
def installation(
    tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]
) -> Iterator[Installation]:
    """What the suite runs against."""
    model = os.environ.get("NEMO_MODEL", MODEL)
    config = os.environ.get("NEMO_CUSTOMIZATION_CONFIG", f"{model}@v1.0.0+A100")
    if base := os.environ.get("NEMO_URL"):
        urls = NemoUrls(base, os.environ["DATA_STORE_URL"], os.environ["NIM_URL"])
        embedding_model = os.environ.get("NEMO_EMBEDDING_MODEL")
        yield Installation(urls, os.environ.get("NEMO_TOKEN"), True, model, config, embedding_model, 3600.0)
        return
    with StandIn(tmp_path_factory.mktemp("contract"), free_port(), "--gpus", "16") as stand_in:
        urls = NemoUrls(stand_in.url, stand_in.url, f"{stand_in.url}/nim")
        yield Installation(urls, None, False, model, config, EMBEDDING_MODEL, 30.0)


@pytest.fixture(scope="module", params=[Ours, Official], ids=["ours", "sdk"])
def face(request: pytest.FixtureRequest, installation: Installation) -> Face:
    """Whoever makes the calls."""
    made: Face = request.param(installation)
    return made


@pytest.fixture(scope="module")
def undo(namespace: str) -> Iterator[Callable[..., None]]:
    """`undo(call, *arguments)`: made after the module's tests, last first; it may be gone already."""
    later: list[tuple[Callable[..., Any], tuple[Any, ...]]] = []
    yield lambda call, *arguments: later.append((call, arguments))
    for call, arguments in reversed(later):
        with suppress(Refused):
            call(*arguments)


@pytest.fixture(scope="module")
def namespace(face: Face, installation: Installation) -> Iterator[str]:
    """A namespace of the module's own, in both stores."""
    name = f"contract-{uuid4().hex[:10]}"
    face.create_namespace(name)
    face.create_store_namespace(name)
    yield name
    urls = installation.urls
    headers = {"Authorization": f"Bearer {installation.token}"} if installation.token else {}
    for url in (f"{urls.base_url}/v1/namespaces", f"{urls.data_store_url}/v1/datastore/namespaces"):
        httpx.delete(f"{url}/{name}", headers=headers)


@pytest.fixture(scope="session")
def stand_in_only() -> None:
    """Skips what starts, kills or measures a server of its own where a real one is given."""
    if os.environ.get("NEMO_URL"):
        pytest.skip("it starts a stand-in of its own, and NEMO_URL names a real installation")


@pytest.fixture(scope="session")
def until(installation: Installation) -> Callable[..., Any]:
    """`until(read, good)`: reads until `good(answer)`, and returns the answer."""

    def wait(read: Callable[[], Any], good: Callable[[Any], bool]) -> Any:
        deadline = time.monotonic() + installation.patience_seconds
        while not good(answer := read()):
            assert time.monotonic() < deadline, f"still waiting: {answer}"
            time.sleep(_POLL_SECONDS[installation.real])
        return answer

    return wait


@pytest.fixture
def refused() -> Callable[..., AbstractContextManager[None]]:
    """`with refused(404, 409):` where the call is refused with one of these statuses."""

    @contextmanager
    def expect(*statuses: int) -> Iterator[None]:
        with pytest.raises(Refused) as refusal:
            yield
        assert refusal.value.status in statuses, refusal.value

    return expect

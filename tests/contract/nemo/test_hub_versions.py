"""Both lines of `huggingface_hub` through the Data Store: 0.36, which is installed, and 2.4 beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from contract_faces import Installation

NEWER = "2.4.0"
LARGE_BYTES = 11 * 1024 * 1024
SCRIPT = Path(__file__).parent / "hub_script.py"


@pytest.fixture(scope="session")
def newer(installation: Installation) -> Path:
    """A folder with the newer line, kept between runs. Skips where it is not there and cannot be fetched."""
    if installation.real:
        pytest.skip(
            "the real store answers commits with an empty address, on which the 2.x line raises an error"
        )
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "flywheel-tests"
    wanted = cache / f"huggingface_hub-{NEWER}-py{sys.version_info.major}{sys.version_info.minor}"
    if wanted.exists():
        return wanted
    if (uv := shutil.which("uv")) is None:
        pytest.skip(f"huggingface_hub {NEWER} is not cached, and there is no uv to fetch it")
    cache.mkdir(parents=True, exist_ok=True)
    fresh = tempfile.mkdtemp(dir=cache)
    command = [uv, "pip", "install", "--python", sys.executable, "--target", fresh]
    done = subprocess.run(
        [*command, f"huggingface_hub=={NEWER}"], capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        shutil.rmtree(fresh)
        pytest.skip(f"huggingface_hub {NEWER} cannot be fetched: {done.stderr[-300:]}")
    Path(fresh).replace(wanted)
    return wanted


def drive(
    at: Installation, folder: Path, large_bytes: int, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs the script in a namespace of its own."""
    namespace = f"hub-{uuid4().hex[:8]}"
    headers = {"Authorization": f"Bearer {at.token}"} if at.token else {}
    store = f"{at.urls.data_store_url}/v1/datastore/namespaces"
    httpx.post(store, data={"namespace": namespace}, headers=headers).raise_for_status()
    endpoint = f"{at.urls.data_store_url}/v1/hf"
    settings = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    settings |= {"HF_HOME": str(folder / "home"), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    settings |= {"STORE_TOKEN": at.token} if at.token else {}
    # From which size on a store wants files apart from the commit is its own matter.
    transfer = "any" if at.real else "lfs"
    done = subprocess.run(
        [sys.executable, SCRIPT, endpoint, f"{namespace}/d", folder, str(large_bytes), transfer],
        env=settings | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    httpx.delete(f"{store}/{namespace}", headers=headers)
    return done


def test_the_installed_line(installation: Installation, tmp_path: Path) -> None:
    done = drive(installation, tmp_path, LARGE_BYTES, HF_HUB_DISABLE_XET="1")
    assert done.stdout.startswith("0.36."), done.stderr


def test_the_newer_line(installation: Installation, tmp_path: Path, newer: Path) -> None:
    done = drive(installation, tmp_path, LARGE_BYTES, HF_HUB_DISABLE_XET="1", PYTHONPATH=str(newer))
    assert done.stdout == NEWER, done.stderr


def test_small_files_of_the_newer_line_need_no_setting(
    installation: Installation, tmp_path: Path, newer: Path
) -> None:
    """Its xet transfer is on by default, and takes large files only: those need HF_HUB_DISABLE_XET=1."""
    done = drive(installation, tmp_path, 0, PYTHONPATH=str(newer))
    assert done.stdout == NEWER, done.stderr

"""The client installs alone: no other part of the project, no other package, no network."""

from __future__ import annotations

import ensurepip
import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "include" / "instrument"

USE = """
import sys
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
import flywheel_instrument as client
assert client.__file__.startswith(sys.argv[1]), client.__file__
strangers = {name.split(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
assert strangers == {"flywheel_instrument"}, strangers
recorder = client.Recorder(client.FileSink(sys.argv[2]), client_id="acme", workload_id="desk")
recorder.record(request={"model": "big", "messages": []})
recorder.close()
print(recorder.stats())
"""


def used(folder: Path, tmp_path: Path) -> str:
    """What the client says that Python finds in `folder`, with nothing else on its path (-I, -S)."""
    command = [sys.executable, "-I", "-S", "-c", USE, str(folder), str(tmp_path / "logs")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "logs").glob("dt=*/*.jsonl"))) == 1
    return done.stdout.strip()


def copied(target: Path) -> Path:
    """The sources, away from the project; a build leaves folders beside what it builds."""
    return Path(shutil.copytree(PACKAGE, target, ignore=shutil.ignore_patterns("__pycache__")))


def test_it_needs_nothing_but_the_standard_library(tmp_path: Path) -> None:
    copied(tmp_path / "alone" / "flywheel_instrument")
    assert used(tmp_path / "alone", tmp_path) == "Stats(recorded=1, written=1, dropped={}, waiting=0)"


def pip_path(tmp_path: Path) -> str:
    """Where pip is: in this environment, or in the wheel that Python brings."""
    if importlib.util.find_spec("pip") is None:
        for wheel in (Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl"):
            zipfile.ZipFile(wheel).extractall(tmp_path / "pip")
    return os.pathsep.join([str(tmp_path / "pip"), os.environ.get("PYTHONPATH", "")])


@pytest.mark.skipif(
    importlib.util.find_spec("setuptools") is None, reason="builds with setuptools: install it"
)
def test_pip_installs_it_without_the_network(tmp_path: Path) -> None:
    source, target = copied(tmp_path / "source"), tmp_path / "target"
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", str(target)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, str(source)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": pip_path(tmp_path), "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    package = target / "flywheel_instrument"
    assert {path.name for path in package.iterdir()} - {"__pycache__"} == {
        "py.typed",
        *(path.name for path in PACKAGE.glob("*.py")),
    }
    assert used(target, tmp_path) == "Stats(recorded=1, written=1, dropped={}, waiting=0)"

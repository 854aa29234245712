import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from include.nemo_local.engines import ClassicEngine, make_engine

ROOT = Path(__file__).resolve().parents[2]


def test_the_classic_engine_is_the_one_without_a_flag(client, tmp_path):
    assert client.ok("GET", "/health")["engine"] == "classic"
    assert isinstance(make_engine("classic", tmp_path), ClassicEngine)


@pytest.mark.skipif(find_spec("torch") is not None, reason="the extra 'neural' is installed")
def test_without_its_libraries_the_neural_engine_ends_with_one_line(tmp_path):
    command = [sys.executable, "-m", "include.nemo_local", "--port", "0", "--data-dir", tmp_path]
    ended = subprocess.run(
        [*command, "--engine", "neural"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1
    assert "pip install -e '.[neural]'" in ended.stderr

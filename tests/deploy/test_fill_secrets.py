"""deploy/fill_secrets.py: every empty secret, nothing else, no two alike."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from cryptography.fernet import Fernet

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
COMPOSE = (ROOT / "docker-compose.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def fill(script: Callable[[str], ModuleType]) -> Callable[[str], tuple[str, list[str]]]:
    found: Callable[[str], tuple[str, list[str]]] = script("fill_secrets").fill
    return found


def values(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))


def test_the_example_is_complete_afterwards(fill: Callable[[str], tuple[str, list[str]]]) -> None:
    text, filled = fill(EXAMPLE)
    before, after = values(EXAMPLE), values(text)
    assert {name for name in after if after[name] != before[name]} == set(filled)
    # What compose insists on.
    assert {name for name in re.findall(r"\$\{(\w+):\?", COMPOSE) if not after[name]} == set()
    made = [after[name] for name in filled]
    assert len(set(made)) == len(made) == 15
    assert all(len(one) >= 44 for one in made)
    Fernet(after["AIRFLOW_FERNET_KEY"])
    # They become parts of URLs.
    assert all(re.fullmatch(r"[0-9a-f]{64}", after[name]) for name in filled if "FERNET" not in name)


def test_what_is_set_is_left_alone(fill: Callable[[str], tuple[str, list[str]]]) -> None:
    text, filled = fill("A_PASSWORD=mine\nB_PASSWORD=\nNEMO_TOKEN=\nAWS_SECRET_KEY=\n# C_PASSWORD=\n")
    assert filled == ["B_PASSWORD"]
    assert text.startswith("A_PASSWORD=mine\nB_PASSWORD=")
    assert text.endswith("\nNEMO_TOKEN=\nAWS_SECRET_KEY=\n# C_PASSWORD=\n")
    assert fill(text) == (text, [])


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-S", str(ROOT / "deploy/fill_secrets.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_file_becomes_its_owners_and_no_value_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "made.env"
    file.write_text("A_PASSWORD=\n")
    os.chmod(file, 0o644)
    done = run(str(file))
    assert done.returncode == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "A_PASSWORD" in done.stdout
    assert values(file.read_text())["A_PASSWORD"] not in done.stdout


def test_without_a_file_it_says_how_to_get_one(tmp_path: Path) -> None:
    done = run(str(tmp_path / "none"))
    assert done.returncode == 1
    assert "cp .env.example" in done.stderr

"""What the documentation names exists: commands, options, modules, files and folders."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", text_of(page))
    assert {link for link in links if not (page.parent / link).exists()} == set()
    paths = re.findall(r"`((?:include|tests|dags|plugins|scripts|docs)/[\w./-]*)`", text_of(page))
    assert {path for path in paths if not (ROOT / path).exists()} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_scripts_and_modules_exist(page: Path) -> None:
    for script in re.findall(r"^(scripts/\w+)", text_of(page), re.MULTILINE):
        assert os.access(ROOT / script, os.X_OK), script
    for module in re.findall(r"python -m ([\w.]+)", text_of(page)):
        place = ROOT / module.replace(".", "/")
        assert place.with_suffix(".py").exists() or (place / "__main__.py").exists(), module


def test_every_option_of_the_demo_is_explained() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "include.cli.demo", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    options = set(re.findall(r"^  (--[\w-]+)", done.stdout, re.MULTILINE))
    explained = set(re.findall(r"--[\w-]+", text_of(ROOT / "README.md")))
    assert options - explained == set()

"""The image's lock holds what the tests ran with."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ONLY_CHECKS = {"pytest", "mypy", "ruff", "hypothesis", "nemo-microservices"}


def pins(path: str) -> dict[str, set[str]]:
    """Versions by package; several where they differ between versions of Python."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / path).read_text(encoding="utf-8").splitlines():
        if pin := re.match(r"([a-z0-9][\w.-]*)==([^\s;]+)", line):
            found.setdefault(pin[1], set()).add(pin[2])
    return found


def test_versions_are_the_tested_ones() -> None:
    tested, image = pins("requirements.txt"), pins("deploy/requirements.txt")
    assert {name for name in tested.keys() & image if not tested[name] >= image[name]} == set()


def test_everything_that_runs_is_in_the_image_and_no_tool_of_the_tests() -> None:
    runs = (ROOT / "requirements.in").read_text(encoding="utf-8").split("# Checks")[0]
    names = {name.lower().replace("_", "-") for name in re.findall(r"^([\w-]+)", runs, re.MULTILINE)}
    image = set(pins("deploy/requirements.txt"))
    assert len(names) > 15
    assert names - image == set()
    assert ONLY_CHECKS & image == set()


def test_what_the_image_adds_is_pinned() -> None:
    text = (ROOT / "deploy/requirements.in").read_text(encoding="utf-8")
    wanted = dict(re.findall(r"^([\w-]+)(?:\[\w+\])?==(\S+)", text, re.MULTILINE))
    image = pins("deploy/requirements.txt")
    assert len(wanted) == 4
    assert {name: image[name] for name in wanted} == {name: {version} for name, version in wanted.items()}

"""docs/workloads.md has every key of a workload's file, and its example is one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml
from pydantic import BaseModel

from include.flywheel.config.base import validate
from include.flywheel.config.workload import Workload

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "workloads.md").read_text(encoding="utf-8")


def keys(model: type[BaseModel], above: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from keys(field.annotation, f"{above}{name}.")
        else:
            yield above + name


def test_every_key_has_its_row() -> None:
    rows = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    assert {key for row in rows for key in re.findall(r"`([\w.]+)`", row)} == set(keys(Workload))


def test_the_example_is_a_workload() -> None:
    [example] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert validate(Workload, yaml.safe_load(example), "the example").notifiers == ["ml_team"]

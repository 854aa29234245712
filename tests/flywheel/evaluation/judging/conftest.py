"""A judge behind HTTP."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def _fake_judge() -> Any:
    """The class of tests/fakes, which is no package."""
    path = Path(__file__).resolve().parents[3] / "fakes" / "judge.py"
    spec = importlib.util.spec_from_file_location("tests_fakes_judge", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.FakeJudge


@pytest.fixture
def judge() -> Iterator[Any]:
    """A judge behind HTTP that answers as a test says."""
    fake = _fake_judge()()
    yield fake
    fake.close()

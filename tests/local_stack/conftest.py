"""A stack's layout in a temporary folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.local_stack.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "state")

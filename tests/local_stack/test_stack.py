"""The stack as a whole, as far as it can be seen without starting Airflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.local_stack.errors import StackRunning
from include.local_stack.layout import Layout, Ports
from include.local_stack.stack import Stack


def test_a_second_start_in_the_same_folder_leaves_the_first_alone(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "state")
    with Stack(layout, Ports.free()) as first:
        first.start_services()
        with pytest.raises(StackRunning), Stack(layout, Ports.free()) as second:
            second.start_services()
        first.check()
    migrated = layout.logs / "feedback_migrate.log"
    assert "applied 0001_feedback" in migrated.read_text()
    with Stack(layout, Ports.free()) as third:
        third.start_services()
        third.check()
    assert migrated.read_text().endswith("the schema is up to date\n")

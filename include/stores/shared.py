"""The NIMs that runs share, behind the connection `flywheel_runs`."""

from __future__ import annotations

from include.flywheel.runs.shared import SharedNims
from include.stores.mongo import open_database


def open_shared() -> SharedNims:
    """The shared NIMs. Raises ConfigError when the connection is missing."""
    return SharedNims(open_database())

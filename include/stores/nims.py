"""The NIM catalogue as administrators have changed it, behind the connection `flywheel_runs`."""

from __future__ import annotations

from include.flywheel.config.nims import Nim, load_catalogue
from include.flywheel.config.override_documents import NimOverrides
from include.flywheel.config.overrides import overridden
from include.stores.mongo import open_database


def open_nim_overrides() -> NimOverrides:
    """The overrides. One client a process. Raises ConfigError when the connection is missing."""
    return NimOverrides(open_database())


def effective_catalogue() -> dict[str, Nim]:
    """NIMs by name as the next run sees them: the file, with the overrides over it.

    Raises ConfigError for a bad file, a missing connection, and an override that contradicts the file.
    """
    return overridden(load_catalogue(), open_nim_overrides().all())

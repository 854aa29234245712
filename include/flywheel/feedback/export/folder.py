"""Where exports are written: files that appear whole, or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from include.flywheel.errors import ConfigError, ExportRefused

_FILE_MODE = 0o640


class ExportFolder(Protocol):
    """The export root."""

    def write(self, name: str) -> Writing:
        """A file of that name, which appears when it is published."""

    def remove(self, name: str) -> None:
        """Remove a published file; nothing where there is none."""

    def where(self, name: str) -> str:
        """The whole path or URL of that name."""

    def check(self, name: str) -> None:
        """Raise ExportRefused where the place of that name lies outside the root (a symbolic link)."""


class Writing(Protocol):
    """A file on its way."""

    @property
    def file(self) -> BinaryIO:
        """What is written to."""

    def publish(self) -> None:
        """Let it appear under its name, in the place of what stood there."""

    def discard(self) -> None:
        """Forget it; nothing where it was published."""


class LocalFolder:
    """A folder of this machine. Raises ConfigError where it is none and cannot become one."""

    def __init__(self, root: Path) -> None:
        try:
            root.mkdir(parents=True, exist_ok=True)
            self._root = root.resolve(strict=True)
        except OSError as error:
            raise ConfigError(
                f"the export root {str(root)!r} cannot be used: {error}; set FLYWHEEL_EXPORT_ROOT to a "
                "folder that this process may write to"
            ) from None

    def check(self, name: str) -> None:
        """Every part of the place of `name` lies in the root, links followed."""
        self._place(name)

    def write(self, name: str) -> LocalWriting:
        """Write below a hidden name beside the file's own; the folders to it are made."""
        place = self._place(name)
        place.parent.mkdir(parents=True, exist_ok=True)
        return LocalWriting(place)

    def remove(self, name: str) -> None:
        """Remove the file, if it is there."""
        self._place(name).unlink(missing_ok=True)

    def where(self, name: str) -> str:
        """The whole path."""
        return str(self._root / name)

    def _place(self, name: str) -> Path:
        place = self._root / name
        try:
            inside = place.parent.resolve().is_relative_to(self._root) and not place.is_dir()
        except (OSError, RuntimeError, ValueError) as error:
            raise ExportRefused(f"`output_path`: {name!r} cannot be a file: {error}") from None
        if not inside:
            raise ExportRefused(
                f"`output_path`: {name!r} is a folder, or a link leads it out of the export root; choose "
                "another name"
            )
        if any(parent.exists() and not parent.is_dir() for parent in place.parents):
            raise ExportRefused(f"`output_path`: {name!r} would stand below a file; choose another name")
        return place


class LocalWriting:
    """A file of this machine on its way."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._partial = place.with_name(f".{place.name}.{secrets.token_hex(6)}.partial")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        self._file = os.fdopen(os.open(self._partial, flags, _FILE_MODE), "wb")

    @property
    def file(self) -> BinaryIO:
        """What is written to."""
        return self._file

    def publish(self) -> None:
        """Durable first, then under its name: a crash leaves the old file or the new one."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._partial.replace(self._place)

    def discard(self) -> None:
        """Remove what was not published."""
        self._file.close()
        with suppress(FileNotFoundError):
            self._partial.unlink()


@contextmanager
def discarding(*writings: Writing) -> Iterator[None]:
    """What is not published at the end is discarded, however it ends."""
    try:
        yield
    finally:
        for writing in writings:
            writing.discard()

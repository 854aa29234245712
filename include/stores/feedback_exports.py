"""Where feedback is exported to: the folder or object store that FLYWHEEL_EXPORT_ROOT names."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

from include.flywheel.errors import ConfigError, ExportRefused
from include.flywheel.feedback.export.folder import ExportFolder, LocalFolder

VARIABLE = "FLYWHEEL_EXPORT_ROOT"


def open_export_folder(root: str | None = None) -> ExportFolder:
    """The folder below which exports are written.

    :param root: a path, or a URL that Airflow's ObjectStoragePath opens (`s3://CONNECTION@BUCKET/FOLDER`);
        None: what FLYWHEEL_EXPORT_ROOT says.
    :raises ConfigError: nothing is said, or it cannot be used.
    """
    said = root or os.environ.get(VARIABLE, "")
    if not said.strip():
        raise ConfigError(
            f"{VARIABLE} is not set: name the folder, or the URL of an object store, below which exports of "
            "feedback are written"
        )
    url = urlsplit(said)
    if "://" not in said:
        return LocalFolder(Path(said))
    if url.scheme == "file":
        return LocalFolder(Path(unquote(url.path)))
    return ObjectFolder(said)


class ObjectFolder:
    """A place in an object store, whose objects appear whole by themselves. Raises ConfigError."""

    def __init__(self, url: str) -> None:
        # Airflow takes seconds to load, and a folder needs none of it.
        from airflow.sdk import ObjectStoragePath  # noqa: PLC0415

        try:
            self._root: Any = ObjectStoragePath(url)
            # A bucket is never made: a mistyped name would make one.
            self._root.fs.ls(self._root.bucket)
        except (OSError, ImportError, ValueError) as error:
            raise ConfigError(
                f"the export root {url} ({VARIABLE}) cannot be used: {error}. Make its bucket and let this "
                "installation write in it; s3://CONNECTION@BUCKET/FOLDER takes the credentials of that "
                "connection"
            ) from error

    def check(self, name: str) -> None:
        """Keys know neither links nor `..`: a checked name cannot leave the root."""
        if ".." in name.split("/"):
            raise ExportRefused(f"`output_path`: {name!r} leaves the export root; choose another name")

    def write(self, name: str) -> ObjectWriting:
        """Write into a scratch file of this machine; publishing uploads it."""
        self.check(name)
        return ObjectWriting(self._root / name)

    def remove(self, name: str) -> None:
        """Remove the object, if it is there."""
        place = self._root / name
        if place.exists():
            place.unlink()

    def where(self, name: str) -> str:
        """The URL."""
        return str(self._root / name)


class ObjectWriting:
    """An object on its way."""

    def __init__(self, place: Any) -> None:
        self._place = place
        # It stays open until it is published or discarded.
        self._scratch = tempfile.NamedTemporaryFile(prefix="flywheel-export-")  # noqa: SIM115

    @property
    def file(self) -> BinaryIO:
        """What is written to."""
        return self._scratch.file  # type: ignore[return-value]

    def publish(self) -> None:
        """Upload it: the store shows the old object or the new one."""
        self._scratch.flush()
        self._place.fs.put_file(self._scratch.name, self._place.path)
        self.discard()

    def discard(self) -> None:
        """Remove the scratch file."""
        self._scratch.close()

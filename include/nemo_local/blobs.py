"""File contents by their SHA-256, on disk."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from include.nemo_local.errors import Invalid

_DIGEST = re.compile(r"[0-9a-f]{64}")


class BlobWriter:
    """Takes a content in pieces; `digest` and `size` are those of what was written so far."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._sha = hashlib.sha256()
        self.size = 0

    def write(self, piece: bytes) -> None:
        self._file.write(piece)
        self._sha.update(piece)
        self.size += len(piece)

    @property
    def digest(self) -> str:
        """64 hexadecimal characters."""
        return self._sha.hexdigest()


class Blobs:
    """Write-once contents: the same bytes are stored once, and a torn write leaves nothing behind."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        for leftover in self._incoming.iterdir():
            leftover.unlink()

    def path(self, digest: str) -> Path:
        """Where that content lies. Raises Invalid for what is no SHA-256 (it would name other files)."""
        if _DIGEST.fullmatch(digest) is None:
            raise Invalid(f"object id {digest!r} is no SHA-256 of 64 hexadecimal characters", field="oid")
        return self._folder / digest[:2] / digest

    def has(self, digest: str) -> bool:
        return self.path(digest).is_file()

    @contextmanager
    def writing(self) -> Iterator[BlobWriter]:
        """Collects one content; it becomes visible when the block ends without an error."""
        with tempfile.NamedTemporaryFile(dir=self._incoming, delete=False) as file:
            temporary = Path(file.name)
            writer = BlobWriter(file)
            try:
                yield writer
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        target = self.path(writer.digest)
        target.parent.mkdir(exist_ok=True)
        temporary.replace(target)

    def put(self, content: bytes) -> str:
        """Stores the content and returns its digest."""
        with self.writing() as writer:
            writer.write(content)
        return writer.digest

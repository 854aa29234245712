"""Where the file log store keeps a record: one folder a UTC day, one file a client and workload."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from include.flywheel.logs.timestamps import DAY_MS, start_of_day_ms

_OWN_NAME = re.compile(r"^log\..*\.[0-9a-f]{16}\.jsonl(\.gz)?$")
_ILLEGAL = re.compile(r"[^A-Za-z0-9_-]+")


def file_name(client_id: str, workload_id: str) -> str:
    """The store's own file name for a client and workload: legal everywhere, different for different ids.

    The readable part is for people; the digest is what keeps names apart.
    """
    digest = hashlib.sha256(orjson.dumps([client_id, workload_id])).hexdigest()[:16]
    readable = ".".join(_ILLEGAL.sub("-", name)[:40] for name in (client_id, workload_id))
    return f"log.{readable}.{digest}.jsonl"


@dataclass(frozen=True, slots=True)
class LogFile:
    """One file of a day.

    :param start_ms: the first moment of its day, Unix milliseconds.
    :param own: written by this store, so that every line is of one client and workload, and of this day.
    """

    path: Path
    start_ms: int
    own: bool

    @property
    def end_ms(self) -> int:
        """The first moment after its day."""
        return self.start_ms + DAY_MS

    def of(self, name: str) -> bool:
        """Whether this is the store's own file of that name, open or closed (.gz)."""
        return self.own and self.path.name in (name, f"{name}.gz")


def log_files(root: Path) -> Iterator[LogFile]:
    """Every file below `root` that may hold records, oldest day first; other folders are not looked at."""
    for folder in sorted(root.glob("dt=*")):
        try:
            start_ms = start_of_day_ms(folder.name.removeprefix("dt="))
        except ValueError:
            continue
        for path in sorted([*folder.glob("*.jsonl"), *folder.glob("*.jsonl.gz")]):
            yield LogFile(path, start_ms, own=_OWN_NAME.match(path.name) is not None)

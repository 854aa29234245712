"""All state of the stand-in but file contents: documents in one SQLite file, safe against a SIGKILL."""

from __future__ import annotations

import fcntl
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import orjson

from include.nemo_local.errors import DuplicateRecord, FolderInUse

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL, id TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
  body BLOB NOT NULL, hidden BLOB NOT NULL,
  UNIQUE (kind, id), UNIQUE (kind, namespace, name)
)
"""
_COLUMNS = "kind, id, namespace, name, body, hidden, seq"


@dataclass
class Record:
    """One document. ``body`` goes on the wire; ``hidden`` is what only the stand-in knows."""

    kind: str
    id: str
    namespace: str
    name: str
    body: dict[str, Any]
    hidden: dict[str, Any] = field(default_factory=dict)
    seq: int = 0


class Store:
    """Documents by kind, found by id or by namespace and name, in order of creation.

    Every call is atomic; `exclusive` makes several calls one transaction. Safe for many threads of one
    process; raises FolderInUse when another process holds the file.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._claim = _claimed(path.with_suffix(".lock"))
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(_SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()
            self._claim.close()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """One transaction over all calls inside; may be nested."""
        with self._lock:
            if self._depth == 0:
                self._db.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._db.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._db.execute("COMMIT")

    def insert(self, record: Record) -> Record:
        """Adds the record. Raises DuplicateRecord when its id or its name is taken in its kind."""
        values = (
            record.kind, record.id, record.namespace, record.name,
            orjson.dumps(record.body), orjson.dumps(record.hidden),
        )  # fmt: skip
        with self.exclusive():
            try:
                done = self._db.execute(
                    "INSERT INTO records (kind, id, namespace, name, body, hidden) VALUES (?, ?, ?, ?, ?, ?)",
                    values,
                )
            except sqlite3.IntegrityError:
                raise DuplicateRecord(f"{record.kind} {record.namespace}/{record.name}") from None
        record.seq = done.lastrowid or 0
        return record

    def get(self, kind: str, namespace: str, name: str) -> Record | None:
        return self._one("kind = ? AND namespace = ? AND name = ?", (kind, namespace, name))

    def by_id(self, kind: str, record_id: str) -> Record | None:
        return self._one("kind = ? AND id = ?", (kind, record_id))

    def select(self, kind: str) -> list[Record]:
        """All records of a kind, oldest first."""
        with self._lock:
            rows = self._db.execute(
                f"SELECT {_COLUMNS} FROM records WHERE kind = ? ORDER BY seq",  # noqa: S608 - constant columns
                (kind,),
            ).fetchall()
        return [_record(row) for row in rows]

    def last(self, kind: str) -> Record | None:
        """The newest record of a kind."""
        return self._one("kind = ? ORDER BY seq DESC LIMIT 1", (kind,))

    def change(self, kind: str, record_id: str, mutate: Callable[[Record], None]) -> Record | None:
        """Reads, lets ``mutate`` change body and hidden, writes; None when there is no such record."""
        with self.exclusive():
            record = self.by_id(kind, record_id)
            if record is None:
                return None
            mutate(record)
            self._db.execute(
                "UPDATE records SET body = ?, hidden = ? WHERE seq = ?",
                (orjson.dumps(record.body), orjson.dumps(record.hidden), record.seq),
            )
        return record

    def delete(self, kind: str, record_id: str) -> bool:
        with self.exclusive():
            done = self._db.execute("DELETE FROM records WHERE kind = ? AND id = ?", (kind, record_id))
        return done.rowcount > 0

    def _one(self, where: str, values: tuple[str, ...]) -> Record | None:
        with self._lock:
            row = self._db.execute(
                f"SELECT {_COLUMNS} FROM records WHERE {where}",  # noqa: S608 - constant clauses
                values,
            ).fetchone()
        return None if row is None else _record(row)


def _claimed(path: Path) -> IO[bytes]:
    """Holds the folder for this process: two servers would both work on its jobs. A death lets go of it."""
    file = path.open("wb")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise FolderInUse(
            f"{path.parent} is in use by another server: stop it or give another folder"
        ) from None
    return file


def _record(row: tuple[Any, ...]) -> Record:
    kind, record_id, namespace, name, body, hidden, seq = row
    return Record(kind, record_id, namespace, name, orjson.loads(body), orjson.loads(hidden), seq)

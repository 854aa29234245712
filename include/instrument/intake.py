"""The bounded queue between the application's threads and the one that writes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from .documents import Document
from .settings import Settings
from .tally import Drop

_IDLE_SECONDS = 0.5
"""How often the writer looks for what finalisers have left to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One record to come. `document` builds it, on whichever thread asks."""

    document: Callable[[], Document]
    size_bytes: int


class Intake:
    """Never blocks who puts. Its lock is reentrant: a signal's handler may put while its thread does."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._changed = threading.Condition(threading.RLock())
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._oldest_at = 0.0
        self._accepted = self._settled = self._hurry_to = 0
        self._nudges = self._nudges_seen = 0
        self._close_at: float | None = None

    def put(self, entry: Entry) -> Drop | None:
        """Queue an entry; the reason when it cannot be."""
        with self._changed:
            if self._close_at is not None:
                return Drop.CLOSED
            if entry.size_bytes > self._settings.max_record_bytes:
                return Drop.TOO_LARGE
            if (
                len(self._entries) >= self._settings.max_queued_records
                or self._bytes + entry.size_bytes > self._settings.max_queued_bytes
            ):
                return Drop.QUEUE_FULL
            if not self._entries:
                self._oldest_at = time.monotonic()
            self._entries.append(entry)
            self._bytes += entry.size_bytes
            self._accepted += 1
            # Waking the writer costs the caller more than all the rest: only for a first entry or a batch.
            if len(self._entries) == 1 or self._batch_is_full():
                self._changed.notify_all()
            return None

    def take(self) -> list[Entry] | None:
        """The next batch, waited for; an empty one now and then; None when closed and empty.

        For the writing thread.
        """
        with self._changed:
            if not self._entries and self._close_at is None:
                self._changed.wait(_IDLE_SECONDS)
            if not self._entries:
                return None if self._close_at is not None else []
            while not self._is_due():
                self._changed.wait(self._oldest_at + self._settings.batch_seconds - time.monotonic())
            batch: list[Entry] = []
            size = 0
            while self._entries and len(batch) < self._settings.batch_records:
                if batch and size + self._entries[0].size_bytes > self._settings.batch_bytes:
                    break
                batch.append(self._entries.popleft())
                size += batch[-1].size_bytes
            self._bytes -= size
            self._nudges_seen = self._nudges
            self._oldest_at = time.monotonic()
            return batch

    def settle(self, count: int) -> None:
        """So many of what was taken are written or given up."""
        with self._changed:
            self._settled += count
            self._changed.notify_all()

    def pause(self, seconds: float) -> None:
        """Wait before the next try; ends early when somebody begins to flush or close."""
        with self._changed:
            self._changed.wait_for(lambda: self._nudges != self._nudges_seen, seconds)
            self._nudges_seen = self._nudges

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until what is accepted now is settled; whether it was, in time."""
        with self._changed:
            target = self._hurry_to = self._accepted
            self._nudges += 1
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._settled >= target, timeout_seconds)

    def close(self, timeout_seconds: float) -> None:
        """Accept no more; the writer has so long to write the rest."""
        with self._changed:
            if self._close_at is None:
                self._close_at = time.monotonic() + timeout_seconds
            self._nudges += 1
            self._changed.notify_all()

    @property
    def closing(self) -> bool:
        """Whether `close` was called."""
        return self._close_at is not None

    @property
    def overdue(self) -> bool:
        """Whether the time to write the rest is over."""
        return self._close_at is not None and time.monotonic() >= self._close_at

    def empty(self) -> int:
        """Give up what is queued; how many records."""
        with self._changed:
            count = len(self._entries)
            self._entries.clear()
            self._bytes = 0
            self._settled += count
            self._changed.notify_all()
            return count

    def _batch_is_full(self) -> bool:
        return len(self._entries) >= self._settings.batch_records or self._bytes >= self._settings.batch_bytes

    def _is_due(self) -> bool:
        if not self._entries:
            return False
        if self._close_at is not None or self._settled < self._hurry_to or self._batch_is_full():
            return True
        return time.monotonic() >= self._oldest_at + self._settings.batch_seconds

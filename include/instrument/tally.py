"""Counts of what became of every record, and the rare warning about it."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

_log = logging.getLogger("flywheel_instrument")


class Drop(StrEnum):
    """Why a call is not in the store."""

    QUEUE_FULL = "queue_full"
    TOO_LARGE = "too_large"
    NO_IDS = "no_client_or_workload_id"
    NOT_SERIALISABLE = "not_serialisable"
    POSITIONAL_ARGUMENTS = "positional_arguments"
    REQUEST_NOT_READ = "request_not_readable"
    RESPONSE_NOT_READ = "response_not_read"
    REDACT_FAILED = "redact_failed"
    LEFT_OUT = "left_out_by_redact"
    SINK_REFUSED = "sink_refused"
    SINK_FAILED = "sink_failed"
    CLOSED = "recorder_closed"
    UNWRITTEN_AT_CLOSE = "unwritten_at_close"
    INTERNAL = "internal_error"


class LeftOut(Exception):
    """A record that is given up on purpose or by a known fault, with its reason."""

    def __init__(self, reason: Drop, detail: str = "") -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True, slots=True)
class Stats:
    """`recorded` = `written` + the sum of `dropped` + `waiting`, in this process since its start.

    :param recorded: calls that the recorder was told of.
    :param waiting: queued, or being written now.
    """

    recorded: int
    written: int
    dropped: dict[str, int]
    waiting: int


class Tally:
    """Counters that any thread may raise. Its lock is reentrant: a signal may interrupt."""

    def __init__(self, warn_seconds: float) -> None:
        self._lock = threading.RLock()
        self._warn_seconds = warn_seconds
        self._warned_at = float("-inf")
        self._recorded = self._written = 0
        self._dropped: Counter[Drop] = Counter()
        self._unsaid: Counter[Drop] = Counter()

    def recorded(self) -> None:
        """One more call is known."""
        with self._lock:
            self._recorded += 1

    def written(self, count: int) -> None:
        """So many records are in the store."""
        with self._lock:
            self._written += count

    def dropped(self, reason: Drop, count: int = 1, detail: str = "") -> None:
        """So many records are given up; says so in the log when it is time again."""
        if count:
            with self._lock:
                self._dropped[reason] += count
                self._unsaid[reason] += count
            self.warn(detail)

    def warn(self, detail: str) -> None:
        """Log what was dropped since the last warning, and the latest trouble, unless it is too early."""
        with self._lock:
            now = time.monotonic()
            if now - self._warned_at < self._warn_seconds:
                return
            self._warned_at = now
            said = ", ".join(f"{count} {reason.value}" for reason, count in self._unsaid.items())
            self._unsaid.clear()
        # A handler of the application's own may raise.
        with suppress(Exception):
            _log.warning("LLM call records: %s; dropped since the last warning: %s", detail, said or "none")

    def stats(self) -> Stats:
        """The counters now."""
        with self._lock:
            dropped = {reason.value: count for reason, count in self._dropped.items()}
            waiting = self._recorded - self._written - sum(dropped.values())
            return Stats(self._recorded, self._written, dropped, waiting)

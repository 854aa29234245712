"""The way of a record from the queue into the sink: one thread, batches, retries."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable

from .documents import MissingIds, as_line, error_text
from .intake import Entry, Intake
from .settings import Settings
from .sinks import RETRY, Line, Outcome, Sink
from .snapshot import NotSerialisable
from .tally import Drop, LeftOut, Tally

_CLOSING_PAUSE_SECONDS = 0.2


class Outbox:
    """Queue, counters and writing thread of one recorder in one process."""

    def __init__(self, sink: Sink, settings: Settings) -> None:
        self._sink, self._settings = sink, settings
        self._intake = Intake(settings)
        self._thread: threading.Thread | None = None
        self._starting = threading.RLock()
        self._left: deque[Callable[[], None]] = deque()
        self.tally = Tally(settings.warn_seconds)

    def later(self, end: Callable[[], None]) -> None:
        """Have `end` called soon, by the writing thread or at the next flush.

        It takes no lock: for finalisers, which may run in any thread while it holds any lock.
        """
        self._left.append(end)

    def catch_up(self) -> None:
        """Do what finalisers have left to do."""
        while self._left:
            try:
                end = self._left.popleft()
            except IndexError:
                return
            end()

    def put(self, entry: Entry) -> None:
        """Queue one record, or count why not. The thread starts with the first."""
        reason = self._intake.put(entry)
        if reason is not None:
            self.tally.dropped(reason, 1, _QUEUE_REMEDIES.get(reason, ""))
        elif self._thread is None or not self._thread.is_alive():
            self._start_thread()

    def flush(self, timeout_seconds: float) -> bool:
        """Whether everything that was recorded before is settled in time."""
        self.catch_up()
        return self._intake.flush(timeout_seconds)

    def close(self, timeout_seconds: float) -> None:
        """Write what is queued for so long, give up the rest, end the thread, close the sink."""
        self.catch_up()
        self._intake.close(timeout_seconds)
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_seconds + 2 * _CLOSING_PAUSE_SECONDS)
        self.tally.dropped(Drop.UNWRITTEN_AT_CLOSE, self._intake.empty(), "the recorder was closed")
        if thread is None:
            self._close_sink()

    def _start_thread(self) -> None:
        with self._starting:
            thread = self._thread
            # One without an ident is being started: by this very thread, which a signal interrupted.
            if thread is not None and (thread.ident is None or thread.is_alive()):
                return
            self._thread = threading.Thread(target=self._run, name="flywheel-instrument", daemon=True)
            try:
                self._thread.start()
            except RuntimeError as error:
                # The next record tries again; this one waits.
                self._thread = None
                self.tally.warn(f"the writing thread cannot start: {error}")

    def _run(self) -> None:
        while (batch := self._intake.take()) is not None:
            lines = [line for entry in batch if (line := self._line(entry)) is not None]
            if lines:
                self._deliver(lines)
            self.catch_up()
        self._close_sink()

    def _close_sink(self) -> None:
        try:
            self._sink.close()
        except Exception as error:
            self.tally.warn(f"the sink could not be closed: {error_text(error)}")

    def _line(self, entry: Entry) -> Line | None:
        try:
            line = as_line(entry.document(), self._settings.max_text_chars)
        except LeftOut as why:
            self._give_up(why.reason, 1, why.detail)
        except MissingIds as why:
            self._give_up(Drop.NO_IDS, 1, str(why))
        except (NotSerialisable, ValueError, TypeError, RecursionError) as why:
            self._give_up(Drop.NOT_SERIALISABLE, 1, type(why).__name__)
        except Exception as why:
            self._give_up(Drop.INTERNAL, 1, type(why).__name__)
        else:
            if len(line.body) <= self._settings.max_record_bytes:
                return line
            self._give_up(Drop.TOO_LARGE, 1, _QUEUE_REMEDIES[Drop.TOO_LARGE])
        return None

    def _deliver(self, lines: list[Line]) -> None:
        give_up_at = time.monotonic() + self._settings.give_up_seconds
        pause = self._settings.retry_first_seconds
        while True:
            outcomes, trouble = self._write(lines)
            lines = self._settled(lines, outcomes)
            if not lines:
                return
            if self._intake.overdue or time.monotonic() >= give_up_at:
                reason = Drop.UNWRITTEN_AT_CLOSE if self._intake.overdue else Drop.SINK_FAILED
                self._give_up(reason, len(lines), trouble)
                return
            self.tally.warn(f"{trouble}; {len(lines)} records are tried again")
            seconds = pause * random.uniform(0.5, 1.0)
            self._intake.pause(min(seconds, _CLOSING_PAUSE_SECONDS) if self._intake.closing else seconds)
            pause = min(2 * pause, self._settings.retry_max_seconds)

    def _write(self, lines: list[Line]) -> tuple[list[Outcome], str]:
        """One outcome a line, and what went wrong in words."""
        try:
            outcomes = self._sink.write(lines)
        except Exception as error:
            return [RETRY] * len(lines), f"the sink failed: {error_text(error)}"
        if len(outcomes) != len(lines):
            return [RETRY] * len(lines), "the sink failed: it gave no outcome for some lines"
        details = {one.detail for one in outcomes if one.detail}
        return outcomes, "the sink asks to retry" + "".join(f"; {detail}" for detail in sorted(details))

    def _settled(self, lines: list[Line], outcomes: list[Outcome]) -> list[Line]:
        """Count what is final; the lines that are not."""
        written = sum(one.state == "written" for one in outcomes)
        self.tally.written(written)
        again, refusals = [], []
        for line, outcome in zip(lines, outcomes, strict=True):
            if outcome.state == "retry":
                again.append(line)
            elif outcome.state != "written":
                refusals.append(outcome.detail)
        if refusals:
            self.tally.dropped(Drop.SINK_REFUSED, len(refusals), f"the sink refused: {refusals[0]}")
        self._intake.settle(len(lines) - len(again))
        return again

    def _give_up(self, reason: Drop, count: int, detail: str) -> None:
        self.tally.dropped(reason, count, detail)
        self._intake.settle(count)


_QUEUE_REMEDIES = {
    Drop.QUEUE_FULL: "more calls than the sink takes: see `max_queued_records` and `max_queued_bytes`",
    Drop.TOO_LARGE: "see the setting `max_record_bytes`",
    Drop.CLOSED: "a call was recorded after Recorder.close()",
}

"""The recorder: takes calls from the application's threads and never gives trouble back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Unpack

from .documents import Document, Tags, document, error_text, known, merged
from .hooks import Hooks, hooks
from .intake import Entry
from .lifetime import forget, watch
from .outbox import Outbox
from .settings import Settings
from .sinks import Sink
from .snapshot import NotSerialisable, Snapshot
from .tally import Drop, LeftOut, Stats

Redact = Callable[[Document], Document | None]


class Recorder:
    """Records LLM calls into a sink, from any thread, in the background.

    :param redact: gets each document before it is queued, may change it, and returns it; None leaves it out.
    :param tags: hold for all calls; those of `log_calls` or the hooks win over them, and those of `tags` over
        both.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        redact: Redact | None = None,
        settings: Settings | None = None,
        **tags: Unpack[Tags],
    ) -> None:
        self._sink, self._redact = sink, redact
        self.settings = settings or Settings()
        self._tags = merged(known(tags))
        self._around: ContextVar[Mapping[str, str] | None] = ContextVar("flywheel_tags", default=None)
        self._outbox = Outbox(sink, self.settings)
        watch(self)

    def __repr__(self) -> str:
        return f"Recorder({self._sink!r})"

    @contextmanager
    def tags(self, **tags: Unpack[Tags]) -> Iterator[None]:
        """Tags of the calls that begin inside, in this thread or asyncio task; the innermost win."""
        token = self._around.set(merged(self._around.get() or {}, known(tags)))
        try:
            yield
        finally:
            # An abandoned async generator is closed in another context, where nothing was set.
            with suppress(ValueError):
                self._around.reset(token)

    def current_tags(self, given: Mapping[str, Any]) -> dict[str, str]:
        """The tags of a call that begins now: the recorder's, those `given` at a wrap, those around it."""
        # Where every stream is forgotten, nothing else would make up for it.
        self._outbox.catch_up()
        return merged(self._tags, given, self._around.get() or {})

    def record(
        self,
        *,
        request: Any,
        response: Any = None,
        error: BaseException | str | None = None,
        timestamp_ms: int | None = None,
        latency_ms: float | None = None,
        **tags: Unpack[Tags],
    ) -> None:
        """Record a call that neither `log_calls` nor the hooks see. Raises TypeError on an unknown tag only.

        :param request: the chat-completion or embedding request: a dict, or an SDK's object.
        :param timestamp_ms: when the call began, Unix milliseconds; None is now.
        """
        given = known(tags)
        with self.guarded():
            copying = Snapshot()
            record = document(
                timestamp_ms=int(time.time() * 1000) if timestamp_ms is None else timestamp_ms,
                tags=self.current_tags(given),
                request=_object(copying.copy(request)),
                response=None if response is None else _object(copying.copy(response)),
                latency_ms=latency_ms,
                error=None if error is None else error_text(error),
            )
            self.submit(lambda: record, copying.size_bytes)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Count one call; what raises inside is counted as its reason and goes no further."""
        tally = self._outbox.tally
        try:
            tally.recorded()
            yield
        except LeftOut as why:
            tally.dropped(why.reason, 1, why.detail)
        except (NotSerialisable, RecursionError) as why:
            tally.dropped(Drop.NOT_SERIALISABLE, 1, f"no JSON form: {why}")
        except Exception as why:
            tally.dropped(Drop.INTERNAL, 1, type(why).__name__)

    def submit(self, build: Callable[[], Document], size_bytes: int) -> None:
        """Queue one record, built later unless it must be redacted first. Call it inside `guarded`."""
        if self._redact is None:
            self._outbox.put(Entry(build, size_bytes))
            return
        redacted = _redacted(build(), self._redact)
        self._outbox.put(Entry(lambda: redacted, size_bytes))

    def httpx_hooks(self, **tags: Unpack[Tags]) -> Hooks:
        """`event_hooks` for httpx.Client and httpx.AsyncClient alike."""
        return hooks(self, known(tags))

    def later(self, end: Callable[[], None]) -> None:
        """Have `end` called soon, from a place where locks may be taken."""
        self._outbox.later(end)

    def lost(self, why: Exception) -> None:
        """Count a call that could not be followed."""
        with self.guarded():
            raise why

    def stats(self) -> Stats:
        """What became of the calls of this process so far."""
        self._outbox.catch_up()
        return self._outbox.tally.stats()

    def flush(self, timeout_seconds: float = 5.0) -> bool:
        """Wait until what was recorded is written or given up; whether it was in time."""
        return self._outbox.flush(timeout_seconds)

    def close(self, timeout_seconds: float = 5.0) -> None:
        """Flush for so long, give up the rest, and end. Later calls are counted as dropped."""
        self._outbox.close(timeout_seconds)
        forget(self)

    def at_exit(self) -> None:
        """Close within `exit_seconds`."""
        self.close(self.settings.exit_seconds)

    def after_fork_in_child(self) -> None:
        """A queue, a thread and counters of its own."""
        self._outbox = Outbox(self._sink, self.settings)


def _object(value: Any) -> Document:
    if not isinstance(value, dict):
        raise NotSerialisable(f"{type(value).__name__} instead of an object")
    return value


def _redacted(record: Document, redact: Redact) -> Document:
    try:
        redacted = redact(record)
    except Exception as why:
        raise LeftOut(Drop.REDACT_FAILED, f"redact raised {type(why).__name__}") from None
    if redacted is None:
        raise LeftOut(Drop.LEFT_OUT, "redact returned None")
    if not isinstance(redacted, dict):
        raise LeftOut(Drop.REDACT_FAILED, f"redact returned {type(redacted).__name__}, not a dict")
    return redacted

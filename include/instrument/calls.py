"""One call through a wrapped client: what was asked, when, and what came of it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from .assembly import CUT_OFF, STOPPED, Assembly
from .documents import Document, document, error_text
from .recorder import Recorder
from .snapshot import NotSerialisable, Snapshot
from .tally import Drop, LeftOut

_TRANSPORT = {"extra_headers", "extra_query", "extra_body", "timeout"}
"""Arguments of the SDK that are no part of the request; headers may hold credentials."""

Fault = tuple[Drop, str]


class ChatCall:
    """A chat completion. None of its methods raises; it is recorded once, when it ends."""

    def __init__(self, recorder: Recorder, given: Mapping[str, Any], args: Any, kwargs: Any) -> None:
        self._recorder = recorder
        self._process = os.getpid()
        self._copying = Snapshot()
        self._request: Document = {}
        self._tags: dict[str, str] = {}
        self._fault: Fault | None = None
        self._ended = False
        try:
            self._tags = recorder.current_tags(given)
            if args:
                self._fault = (Drop.POSITIONAL_ARGUMENTS, "give the arguments of `create` by name")
            else:
                self._request = self._asked(kwargs)
        except (NotSerialisable, RecursionError) as why:
            self._fault = (Drop.NOT_SERIALISABLE, f"the request has no JSON form: {why}")
        except Exception as why:
            self._fault = (Drop.INTERNAL, type(why).__name__)
        self.assembly = Assembly(recorder.settings.max_record_bytes)
        self._began_ms = time.time() * 1000
        self._began = time.perf_counter()

    def _asked(self, kwargs: Mapping[str, Any]) -> Document:
        request: Document = self._copying.copy(
            {name: value for name, value in kwargs.items() if name not in _TRANSPORT}
        )
        extra = kwargs.get("extra_body")
        if isinstance(extra, Mapping):
            request.update(self._copying.copy(extra))
        return request

    def _answered(self, response: Any) -> Any:
        return self._copying.copy(response)

    def end(self, response: Any) -> None:
        """The call returned `response`."""
        self._record(response, None)

    def fail(self, error: BaseException) -> None:
        """The call raised, or its stream did; what had come of the stream is kept beside the error."""
        self._record(None, error)

    def end_stream(self, *, stopped: bool) -> None:
        """The stream is over, or the application has left it."""
        complete = self.assembly.finished
        self._record(None, None if complete else STOPPED if stopped else CUT_OFF)

    def abandon(self) -> None:
        """The stream is gone, read or not. For finalisers."""
        if not self._ended:
            self._recorder.later(lambda: self.end_stream(stopped=True))

    def misread(self, why: Exception) -> None:
        """A chunk could not be taken: the answer would be incomplete."""
        self._fault = self._fault or (Drop.INTERNAL, f"a chunk could not be read: {type(why).__name__}")

    def _record(self, response: Any, error: BaseException | str | None) -> None:
        if self._ended or self._process != os.getpid():
            return
        self._ended = True
        latency_ms = (time.perf_counter() - self._began) * 1000
        with self._recorder.guarded():
            if self._fault is not None:
                raise LeftOut(*self._fault)
            if self.assembly.too_large:
                raise LeftOut(Drop.TOO_LARGE, "see the setting `max_record_bytes`")
            answer = self.assembly.response() if response is None else self._answered(response)
            record = document(
                timestamp_ms=int(self._began_ms),
                tags=self._tags,
                request=self._request,
                response=answer if isinstance(answer, dict) else None,
                latency_ms=latency_ms,
                error=None if error is None else error_text(error),
            )
            # A streamed answer was not copied: its size is counted here.
            if response is None and answer is not None:
                self._copying.size_bytes += self.assembly.size_bytes
            self._recorder.submit(lambda: record, self._copying.size_bytes)


class EmbeddingCall(ChatCall):
    """An embedding: the model and the texts, without the vectors."""

    def _asked(self, kwargs: Mapping[str, Any]) -> Document:
        request: Document = self._copying.copy(
            {name: kwargs[name] for name in ("model", "input") if name in kwargs}
        )
        return request

    def _answered(self, response: Any) -> Any:
        def of(name: str) -> Any:
            return response.get(name) if isinstance(response, dict) else getattr(response, name, None)

        return self._copying.copy({"object": "list", "model": of("model"), "usage": of("usage")})

"""Streams of server-sent events, as NIMs write them: `data: {…}` again and again, then `data: [DONE]`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Generic, TypeVar

from include.nemo.answers import AnswerReader
from include.nemo.call import Stream
from include.nemo.nim_models import ChatChunk, ChatMessage

T = TypeVar("T")
_DONE = "[DONE]"


class EventReader(Generic[T]):
    """Puts lines together to events. `done` is True once the server has said that there are no more."""

    def __init__(self, stream: Stream[T], answers: AnswerReader) -> None:
        self._stream, self._answers = stream, answers
        self._data: list[str] = []
        self._kind = ""
        self.done = False

    def take(self, line: str) -> Iterator[T]:
        """The event that this line ends, if it ends one.

        Raises ServerError for an error among the events, UnexpectedAnswer for one that does not fit.
        """
        field, _, value = line.partition(":")
        if field == "data":
            self._data.append(value.removeprefix(" "))
        elif field == "event":
            self._kind = value.strip()
        elif not line and self._data:
            text, kind = "\n".join(self._data), self._kind
            self._data, self._kind = [], ""
            if text.strip() == _DONE:
                self.done = True
            else:
                yield self._event(text, kind)

    def check_end(self) -> None:
        """Raises Unreadable for a stream that ended before its end."""
        if not self.done:
            raise self._answers.unreadable(self._stream, ValueError(f"the stream ends before {_DONE}"))

    def _event(self, text: str, kind: str) -> T:
        try:
            body = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._answers.unreadable(self._stream, error, text=text) from error
        told = body.get("error") if isinstance(body, dict) else None
        if kind == "error" or told:
            raise self._answers.broken_off(self._stream, _words(told or body))
        try:
            return self._stream.parse(body)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._answers.unexpected(self._stream, error) from error


def message_of(chunks: Iterable[ChatChunk]) -> ChatMessage:
    """The message that the chunks of a chat's first choice make: its text, and its calls whole."""
    role, content, calls = None, "", dict[int, dict[str, Any]]()
    for delta in (choice.delta for chunk in chunks for choice in chunk.choices if not choice.index):
        role = delta.role or role
        content += delta.content or ""
        for piece in delta.tool_calls:
            call = calls.setdefault(
                piece.index, {"id": None, "type": "function", "name": "", "arguments": ""}
            )
            call["id"] = piece.id or call["id"]
            call["name"] += piece.function.name or ""
            call["arguments"] += piece.function.arguments or ""
    whole = [
        {
            "id": call["id"],
            "type": call["type"],
            "function": {key: call[key] for key in ("name", "arguments")},
        }
        for _, call in sorted(calls.items())
    ]
    return ChatMessage.model_validate({"role": role, "content": content, "tool_calls": whole})


def _words(told: Any) -> str:
    message = told.get("message") if isinstance(told, dict) else told
    return str(message or told)

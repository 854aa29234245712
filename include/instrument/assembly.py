"""One response out of the chunks of a stream, read as they pass."""

from __future__ import annotations

from typing import Any

from .snapshot import NotSerialisable, Snapshot

STOPPED = "the application stopped reading the stream"
CUT_OFF = "the stream ended without a finish_reason"

_HEAD = ("id", "created", "model", "system_fingerprint", "service_tier")
_TEXTS = ("content", "refusal", "reasoning_content", "reasoning")


class Assembly:
    """Takes chunks as objects of an SDK or as dicts, keeps their texts, and builds the response from them.

    :param max_bytes: about how much is kept; a longer answer is given up (`too_large`).
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes, self.size_bytes = max_bytes, 0
        self._head: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}
        self._usage: dict[str, Any] | None = None
        self.too_large = False

    @property
    def finished(self) -> bool:
        """Whether every choice that began has said why it ended."""
        return bool(self._choices) and all(one.finish_reason is not None for one in self._choices.values())

    def add(self, chunk: Any) -> None:
        """Take one chunk. What is not understood in it is passed over."""
        if self.too_large:
            return
        for name in _HEAD:
            value = _get(chunk, name)
            if isinstance(value, str | int) and name not in self._head:
                self._head[name] = value
        usage = _get(chunk, "usage")
        if usage is not None:
            self._usage = _plain_object(usage)
        for choice in _get(chunk, "choices") or ():
            index = _get(choice, "index") or 0
            if index not in self._choices:
                self._choices[index] = _Choice()
            self.size_bytes += self._choices[index].add(choice)
        self.too_large = self.size_bytes > self._max_bytes

    def response(self) -> dict[str, Any] | None:
        """The chat completion so far; None when no choice began."""
        if not self._choices:
            return None
        choices = [{"index": index, **self._choices[index].done()} for index in sorted(self._choices)]
        response = {**self._head, "object": "chat.completion", "choices": choices}
        if self._usage is not None:
            response["usage"] = self._usage
        return response


class _Choice:
    def __init__(self) -> None:
        self.finish_reason: str | None = None
        self._role = "assistant"
        self._texts: dict[str, list[str]] = {}
        self._calls: list[dict[str, Any]] = []
        self._latest: dict[int | None, dict[str, Any]] = {}
        self._function: dict[str, Any] | None = None

    def add(self, choice: Any) -> int:
        """Take one delta; how many characters it brought."""
        self.finish_reason = _get(choice, "finish_reason") or self.finish_reason
        delta = _get(choice, "delta")
        if delta is None:
            return 0
        size = 0
        self._role = _get(delta, "role") or self._role
        for name in _TEXTS:
            text = _get(delta, name)
            if isinstance(text, str):
                self._texts.setdefault(name, []).append(text)
                size += len(text)
        for call in _get(delta, "tool_calls") or ():
            size += self._add_call(call)
        function = _get(delta, "function_call")
        if function is not None:
            self._function = self._function or {"name": "", "arguments": []}
            size += _add_function(self._function, function)
        return size

    def _add_call(self, call: Any) -> int:
        # Servers differ: some send no index, some one index for several calls. A new id begins a new call.
        index, call_id = _get(call, "index"), _get(call, "id")
        known = self._latest.get(index)
        if known is None or (call_id and known["id"] and call_id != known["id"]):
            known = {"id": None, "type": "function", "name": "", "arguments": []}
            self._latest[index] = known
            self._calls.append(known)
        known["id"] = known["id"] or call_id
        known["type"] = _get(call, "type") or known["type"]
        function = _get(call, "function")
        return 0 if function is None else _add_function(known, function)

    def done(self) -> dict[str, Any]:
        """The choice without its index."""
        message: dict[str, Any] = {"role": self._role, "content": None}
        message.update((name, "".join(pieces)) for name, pieces in self._texts.items())
        if self._calls:
            message["tool_calls"] = [
                {"id": call["id"], "type": call["type"], "function": _function_of(call)}
                for call in self._calls
            ]
        if self._function is not None:
            message["function_call"] = _function_of(self._function)
        return {"message": message, "finish_reason": self.finish_reason}


def _add_function(known: dict[str, Any], function: Any) -> int:
    name, arguments = _get(function, "name"), _get(function, "arguments")
    # Some servers repeat the whole name in every chunk.
    if isinstance(name, str) and name != known["name"]:
        known["name"] += name
    if isinstance(arguments, str):
        known["arguments"].append(arguments)
        return len(arguments)
    if isinstance(arguments, dict):
        known["whole"] = _plain_object(arguments)
    return 0


def _function_of(call: dict[str, Any]) -> dict[str, Any]:
    return {"name": call["name"], "arguments": call.get("whole") or "".join(call["arguments"])}


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)


def _plain_object(value: Any) -> dict[str, Any] | None:
    try:
        plain = Snapshot().copy(value)
    except NotSerialisable:
        return None
    return plain if isinstance(plain, dict) else None

"""Answers as server-sent events, in the chunks of OpenAI."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

_PIECE = re.compile(r"\s*\S+|\s+$")
_ARGUMENT_CHARS = 24


def chat_events(response: dict[str, Any], include_usage: bool) -> Iterator[bytes]:
    """A chat completion as chunks: the role, the text word by word, the calls, the reason of the end.

    With `include_usage` one more chunk has the usage and no choices.
    """
    choice = response["choices"][0]
    message = choice["message"]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": piece} for piece in _PIECE.findall(message["content"])]
    deltas += _call_deltas(message.get("tool_calls", []))
    choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "logprobs": None, "finish_reason": choice["finish_reason"]})
    return _events(response, "chat.completion.chunk", choices, include_usage=include_usage)


def text_events(response: dict[str, Any], include_usage: bool) -> Iterator[bytes]:
    """A completion as chunks: each choice word by word, then the reason of its end."""
    choices: list[dict[str, Any]] = []
    for choice in response["choices"]:
        shared = {"index": choice["index"], "logprobs": None}
        pieces = _PIECE.findall(choice["text"])
        choices += [shared | {"text": piece, "finish_reason": None} for piece in pieces]
        choices.append(shared | {"text": "", "finish_reason": choice["finish_reason"]})
    return _events(response, "text_completion", choices, include_usage=include_usage)


def _call_deltas(calls: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Of each call first its id and name, then its arguments piece by piece."""
    for index, call in enumerate(calls):
        function = call["function"]
        named = {"name": function["name"], "arguments": ""}
        yield {"tool_calls": [{"index": index, "id": call["id"], "type": "function", "function": named}]}
        text = function["arguments"]
        for start in range(0, len(text), _ARGUMENT_CHARS):
            piece = {"arguments": text[start : start + _ARGUMENT_CHARS]}
            yield {"tool_calls": [{"index": index, "function": piece}]}


def _events(
    response: dict[str, Any], kind: str, choices: list[dict[str, Any]], *, include_usage: bool
) -> Iterator[bytes]:
    shared = {key: response[key] for key in ("id", "created", "model")} | {"object": kind}
    for choice in choices:
        yield _event(shared | {"choices": [choice]} | ({"usage": None} if include_usage else {}))
    if include_usage:
        yield _event(shared | {"choices": [], "usage": response["usage"]})
    yield b"data: [DONE]\n\n"


def _event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(chunk) + b"\n\n"

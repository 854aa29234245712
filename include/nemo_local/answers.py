"""Answers in the shapes of OpenAI: completions with usage, ids that follow from the request, embeddings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from include.nemo_local import clock

_CHARACTERS_PER_TOKEN = 4
_PROMPT_SHARE = 1 / 50
"""How long a token of the prompt takes, as a share of one that is written."""


@dataclass(frozen=True)
class Completion:
    """An answer: the OpenAI response, and the latency that it would have had (nothing waited for it)."""

    response: dict[str, Any]
    simulated_latency_ms: float

    @property
    def message(self) -> dict[str, Any]:
        """The assistant's message, of a chat completion."""
        message: dict[str, Any] = self.response["choices"][0]["message"]
        return message


def chat_completion(request: dict[str, Any], message: dict[str, Any], ms_per_token: float) -> Completion:
    """A chat completion around an assistant message; its text ends at `stop` and at `max_tokens`.

    A message that its model could not end says so in `finish_reason`.
    """
    digest = digest_of(request)
    calls = [
        _with_wire_form(call, f"{digest}{index}")
        for index, call in enumerate(message.get("tool_calls") or [])
    ]
    text, reason = _cut(_utf8(message.get("content") or ""), request)
    reason = message.get("finish_reason") or reason
    answer: dict[str, Any] = {"role": "assistant", "content": text}
    if calls:
        answer["tool_calls"] = calls
        reason = "tool_calls"
    usage = usage_of(prompt_tokens(request), tokens([text, [call["function"] for call in calls]]))
    choice = {"index": 0, "message": answer, "logprobs": None, "finish_reason": reason}
    response = _response(request, f"chatcmpl-{digest[:32]}", "chat.completion", [choice], usage)
    return Completion(response, _latency_ms(usage, ms_per_token))


def text_completion(
    request: dict[str, Any], prompts: Sequence[str], texts: Sequence[str], ms_per_token: float
) -> Completion:
    """A completion with one choice for each prompt, in their order."""
    cut = [_cut(_utf8(text), request) for text in texts]
    choices = [
        {"index": index, "text": text, "logprobs": None, "finish_reason": reason}
        for index, (text, reason) in enumerate(cut)
    ]
    usage = usage_of(sum(tokens(prompt) for prompt in prompts), sum(tokens(text) for text, _ in cut))
    response = _response(request, f"cmpl-{digest_of(request)[:32]}", "text_completion", choices, usage)
    return Completion(response, _latency_ms(usage, ms_per_token))


def usage_of(prompt: int, completion: int) -> dict[str, int]:
    """OpenAI's `usage`."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def prompt_tokens(request: dict[str, Any]) -> int:
    """An estimate of the tokens of a chat's messages and tools."""
    return tokens([request.get("messages", []), request.get("tools") or []])


def tokens(content: Any) -> int:
    """An estimate: a quarter of the characters of its JSON text."""
    return max(1, len(_json(content)) // _CHARACTERS_PER_TOKEN)


def digest_of(request: dict[str, Any]) -> str:
    """SHA-256 of the request, hexadecimal: equal requests get equal ids."""
    return hashlib.sha256(_json(request)).hexdigest()


def _cut(text: str, request: dict[str, Any]) -> tuple[str, str]:
    stops = request.get("stop") or []
    for stop in [stops] if isinstance(stops, str) else stops:
        if stop:
            text = text.partition(stop)[0]
    most = request.get("max_completion_tokens") or request.get("max_tokens")
    if most is not None and len(text) > most * _CHARACTERS_PER_TOKEN:
        return text[: most * _CHARACTERS_PER_TOKEN], "length"
    return text, "stop"


def _response(
    request: dict[str, Any], answer_id: str, kind: str, choices: list[dict[str, Any]], usage: dict[str, int]
) -> dict[str, Any]:
    return {
        "id": answer_id,
        "object": kind,
        "created": int(clock.now()),
        "model": request["model"],
        "choices": choices,
        "usage": usage,
    }


def _latency_ms(usage: dict[str, int], ms_per_token: float) -> float:
    written, read = usage["completion_tokens"], usage["prompt_tokens"]
    return round(ms_per_token * (written + read * _PROMPT_SHARE), 3)


def _with_wire_form(call: dict[str, Any], key: str) -> dict[str, Any]:
    function = call["function"]
    arguments = function.get("arguments")
    text = arguments if isinstance(arguments, str) else orjson.dumps(arguments or {}).decode()
    call_id = hashlib.sha256(key.encode()).hexdigest()[:32]
    return {
        "id": f"chatcmpl-tool-{call_id}",
        "type": "function",
        "function": {"name": _utf8(function["name"]), "arguments": _utf8(text)},
    }


def _utf8(text: str) -> str:
    """The text without lone surrogates, which JSON text may hold and UTF-8 may not."""
    return text.encode("utf-8", "replace").decode()


def _json(content: Any) -> bytes:
    try:
        return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        # Integers beyond 64 bits and lone surrogates, which JSON text may hold.
        return json.dumps(content, sort_keys=True).encode()

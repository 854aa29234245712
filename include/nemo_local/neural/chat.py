"""Conversations as the decoder reads them, and its answers as messages.

A prompt is the tools (names and parameters), the beginning of the instructions, and as many of the newest
turns as there is room for. An answer is calls, each a name and a JSON object, or a text; then the end.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from include.nemo_local.engine.conversation import Call, Conversation, Tool, Turn, read_request, read_row
from include.nemo_local.neural.vocabulary import Control, Vocabulary

_TOOLS_SHARE = 0.35
_SYSTEM_SHARE = 0.1
_TURN_SHARE = 0.4
_ANSWER_SHARE = 0.3
_MOST_CHARACTERS_PER_TOKEN = 8


@dataclass(frozen=True, slots=True)
class Example:
    """Tokens of a prompt and its answer; the answer begins at `start`."""

    ids: list[int]
    start: int


def example_of(row: Mapping[str, Any], vocabulary: Vocabulary, context_tokens: int) -> Example | None:
    """A training row as tokens; None where no answer ends it. A long answer is cut."""
    if (read := read_row(row)) is None:
        return None
    conversation, answer = read
    written = _answer_ids(answer, vocabulary)[: int(context_tokens * _ANSWER_SHARE)]
    prompt = _prompt(conversation, vocabulary, context_tokens - len(written))
    return Example(prompt + written, len(prompt))


def prompt_of(
    request: Mapping[str, Any], vocabulary: Vocabulary, context_tokens: int
) -> tuple[list[int], list[int]]:
    """A request as tokens, and the beginning of its answer where `tool_choice` or missing tools force it."""
    conversation = read_request(request)
    forced = _forced(request.get("tool_choice"), conversation.tools, vocabulary)
    room = int(context_tokens * (1 - _ANSWER_SHARE)) - len(forced)
    return _prompt(conversation, vocabulary, room), forced


def message_of(
    request: Mapping[str, Any], written: list[int], vocabulary: Vocabulary, *, ended: bool
) -> dict[str, Any]:
    """The assistant message of an answer's tokens, the forced ones included.

    Calls that are not whole are given as text, for the caller to see. `ended` is False where the room ran
    out, which the message says as `finish_reason`.
    """
    parts = vocabulary.split(written) or [(Control.TEXT, vocabulary.decode(written))]
    texts = [text for control, text in parts if control is Control.TEXT]
    calls = [_call_of(text) for control, text in parts if control is Control.CALL]
    whole = [call for call in calls if call is not None]
    if whole and len(whole) == len(calls):
        made = [_wire_call(request, call, position) for position, call in enumerate(whole)]
        return {"role": "assistant", "content": "", "tool_calls": made}
    broken = [text for control, text in parts if control is Control.CALL]
    message: dict[str, Any] = {"role": "assistant", "content": "".join(texts or broken)}
    return message if ended else message | {"finish_reason": "length"}


def _forced(choice: Any, tools: tuple[Tool, ...], vocabulary: Vocabulary) -> list[int]:
    call, text = vocabulary.id_of(Control.CALL), vocabulary.id_of(Control.TEXT)
    if not tools or choice == "none":
        return [text]
    if isinstance(choice, Mapping):
        function = choice.get("function")
        name = function.get("name") if isinstance(function, Mapping) else choice.get("name")
        known = any(tool.name == name for tool in tools)
        return [call, *vocabulary.encode(f"{name}{{")] if known else [call]
    return [call] if choice in ("required", "any") else []


def _prompt(conversation: Conversation, vocabulary: Vocabulary, room: int) -> list[int]:
    head = _tools_ids(conversation.tools, vocabulary, int(room * _TOOLS_SHARE))
    if conversation.system:
        head += _said(
            Control.SYSTEM, conversation.system, vocabulary, int(room * _SYSTEM_SHARE), newest=False
        )
    turns = [
        turn
        for example in conversation.examples
        for turn in (*example.turns, Turn("assistant", example.text, example.calls))
    ]
    tail: list[int] = []
    for turn in reversed([*turns, *conversation.turns]):
        written = _turn_ids(turn, vocabulary, int(room * _TURN_SHARE))
        if len(head) + len(tail) + len(written) > room:
            break
        tail = written + tail
    return head + tail


def _tools_ids(tools: tuple[Tool, ...], vocabulary: Vocabulary, most: int) -> list[int]:
    """Names with parameters; names alone where that is too long."""
    start = [vocabulary.id_of(Control.TOOLS)]
    ids = start + vocabulary.encode(" ".join(f"{tool.name}({','.join(tool.properties)})" for tool in tools))
    if len(ids) > most:
        ids = start + vocabulary.encode(" ".join(tool.name for tool in tools))
    return ids[:most] if tools else []


def _turn_ids(turn: Turn, vocabulary: Vocabulary, most: int) -> list[int]:
    if turn.role == "assistant":
        return _answer_ids(turn, vocabulary)[:most]
    if turn.role == "tool":
        return _said(Control.RESULT, turn.text, vocabulary, most, newest=False)
    return _said(Control.USER, turn.text, vocabulary, most, newest=True)


def _said(control: Control, text: str, vocabulary: Vocabulary, most: int, *, newest: bool) -> list[int]:
    """A turn cut to `most` tokens at its beginning (`newest`) or its end."""
    characters = most * _MOST_CHARACTERS_PER_TOKEN
    ids = vocabulary.encode(text[-characters:] if newest else text[:characters])
    kept = ids[-(most - 1) :] if newest else ids[: most - 1]
    return [vocabulary.id_of(control), *kept]


def _answer_ids(answer: Turn, vocabulary: Vocabulary) -> list[int]:
    ids: list[int] = []
    for call in answer.calls:
        arguments = json.dumps(call.arguments, ensure_ascii=False, separators=(",", ":"))
        ids += [vocabulary.id_of(Control.CALL), *vocabulary.encode(call.name + arguments)]
    if not answer.calls:
        ids = [vocabulary.id_of(Control.TEXT), *vocabulary.encode(answer.text)]
    return [*ids, vocabulary.id_of(Control.END)]


def _call_of(text: str) -> Call | None:
    name, brace, rest = text.partition("{")
    try:
        arguments = json.loads(brace + rest)
    except (ValueError, RecursionError):
        return None
    return Call(name.strip(), arguments) if name.strip() and isinstance(arguments, dict) else None


def _wire_call(request: Mapping[str, Any], call: Call, position: int) -> dict[str, Any]:
    arguments = json.dumps(call.arguments, ensure_ascii=False)
    seen = json.dumps([request.get("messages"), call.name, arguments, position], sort_keys=True, default=str)
    call_id = hashlib.sha256(seen.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    function = {"name": call.name, "arguments": arguments}
    return {"id": f"chatcmpl-tool-{call_id}", "type": "function", "function": function}

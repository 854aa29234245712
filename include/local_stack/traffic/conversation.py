"""One conversation of a simulated user with the model, each model call an exchange to log."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from include.local_stack.traffic.counter import ShopCounter
from include.local_stack.traffic.errors import ChatFailed
from include.local_stack.traffic.users import SimulatedUser
from include.local_stack.traffic.workloads import Workload

# Takes an OpenAI chat-completion body and returns an OpenAI response.
Chat = Callable[[dict[str, Any]], dict[str, Any]]

MAX_CALLS = 24
# After these the application leaves the conversation to people.
HANDING_OVER = frozenset({"escalate_to_human", "hand_over"})


@dataclass(frozen=True)
class Exchange:
    """One model call; `turn` counts the turns of the user, from 0."""

    request: dict[str, Any]
    response: dict[str, Any]
    turn: int


def answer_of(response: object) -> dict[str, Any]:
    """The assistant's message of an OpenAI response. Raises ChatFailed for another shape."""
    try:
        message = response["choices"][0]["message"]  # type: ignore[index]
        parsed = [json.loads(call["function"]["arguments"]) for call in message.get("tool_calls") or []]
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise _refused(response, repr(error)) from error
    if not all(isinstance(arguments, dict) for arguments in parsed):
        raise _refused(response, "arguments are not an object")
    return dict(message)


def _refused(response: object, reason: str) -> ChatFailed:
    shown = json.dumps(response, default=str)[:300]
    return ChatFailed(
        f"the model's answer is no OpenAI chat completion with arguments as JSON text ({reason}): "
        f"{shown}; point the generator at an OpenAI-compatible endpoint"
    )


def converse(
    chat: Chat, workload: Workload, user: SimulatedUser, counter: ShopCounter, rng: random.Random
) -> Iterator[Exchange]:
    """Talks until the user leaves, a person takes over, or MAX_CALLS; yields every model call.

    The application sends a seed with each request, so that a single answer can be replayed.
    """
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": workload.system_prompt},
        {"role": "user", "content": user.opening()},
    ]
    turn = 0
    for _ in range(MAX_CALLS):
        request = {
            "model": workload.model,
            "messages": list(messages),
            **({"tools": list(workload.tools), "tool_choice": "auto"} if workload.tools else {}),
            "temperature": workload.temperature,
            "seed": rng.randrange(2**31),
        }
        response = chat(request)
        message = answer_of(response)
        yield Exchange(request, response, turn)
        calls = message.get("tool_calls") or []
        if calls:
            messages += [{"role": "assistant", "content": message.get("content") or "", "tool_calls": calls}]
            messages += [_tool_turn(call, counter) for call in calls]
            if any(call["function"]["name"] in HANDING_OVER for call in calls):
                return
            continue
        text = message.get("content") or ""
        reply = user.reply(text) if workload.turns is None or turn + 1 < workload.turns else None
        if reply is None:
            return
        messages += [{"role": "assistant", "content": text}, {"role": "user", "content": reply}]
        turn += 1


def _tool_turn(call: dict[str, Any], counter: ShopCounter) -> dict[str, Any]:
    function = call["function"]
    answer = counter.call(function["name"], json.loads(function["arguments"]))
    return {"role": "tool", "tool_call_id": call["id"], "content": json.dumps(answer, ensure_ascii=False)}

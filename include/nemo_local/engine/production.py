"""The production model of the samples: a shop's agent by rules, with a little temperature.

It is the large model that a shop runs today. It understands a support desk (orders, deliveries, returns,
refunds, products) and a trade order desk by the tools that are offered, follows the house rules of both,
and answers from nothing but the conversation. With other tools it says politely that it cannot help.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Mapping
from typing import Any

from include.nemo_local.engine import production_desk, production_intents, production_rules
from include.nemo_local.engine.production_advice import advice_for
from include.nemo_local.engine.production_forced import forced_use
from include.nemo_local.engine.production_labels import label_for
from include.nemo_local.engine.production_matter import Act, CannotGoOn, Matter, Say, Use, find_matter
from include.nemo_local.engine.production_reading import Conversation, read_conversation, text_of
from include.nemo_local.engine.production_variation import vary
from include.nemo_local.engine.production_wording import wording

MODEL_NAME = "local/shop-agent-large"
DEFAULT_TEMPERATURE = 0.7

# The tool that only an order desk has.
_DESK_TOOL = "lookup_account"


class ProductionAgent:
    """Answers OpenAI chat-completion requests; stateless, so one instance serves every thread."""

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The assistant's message: `role`, `content` and, where tools are called, `tool_calls`.

        A function of `messages`, `tools`, `tool_choice`, `temperature` (default 0.7) and `seed` alone:
        equal requests get equal answers. Temperature 0 gives the best answer whatever the seed; above it
        a few answers in a hundred are others that would do as well, and the wording of texts varies.
        """
        temperature = _temperature(request.get("temperature"))
        rng = _rng(request, temperature) if temperature else None
        schemas = _tools(request.get("tools"))
        choice = request.get("tool_choice")
        conversation = read_conversation(request.get("messages"))
        if not schemas and (said := _without_tools(request, conversation, rng, temperature)):
            return {"role": "assistant", "content": said}
        offered = frozenset() if choice == "none" else frozenset(schemas)
        at_desk = _DESK_TOOL in schemas
        intents = production_desk.INTENTS if at_desk else production_intents.INTENTS
        matter = find_matter(conversation, intents, offered)
        act = _best_act(matter, production_desk.PLAYBOOK if at_desk else production_rules.PLAYBOOK)
        if rng:
            act = vary(act, matter, rng, temperature)
        act = _obey(choice, act, matter, schemas)
        if isinstance(act, Say):
            return {"role": "assistant", "content": wording(act, rng)}
        calls = _tool_calls(act, _digest(request, temperature))
        return {"role": "assistant", "content": "", "tool_calls": calls}


def _without_tools(
    request: Mapping[str, Any], conversation: Conversation, rng: random.Random | None, temperature: float
) -> str | None:
    """A label where the instructions name some, advice where they give no access; else None."""
    messages = request.get("messages")
    told = [one for one in messages if isinstance(one, dict)] if isinstance(messages, list) else []
    instructions = "\n".join(
        text_of(one.get("content")) for one in told if one.get("role") in ("system", "developer")
    )
    label = label_for(instructions, conversation, rng, temperature)
    return label or advice_for(instructions, conversation, rng)


def _best_act(matter: Matter, playbook: Mapping[str, Callable[[Matter], Act]]) -> Act:
    if matter.intent not in playbook:
        return Say(matter.intent)
    try:
        return playbook[matter.intent](matter)
    except CannotGoOn:
        return Say("cannot")


def _obey(choice: object, act: Act, matter: Matter, schemas: Mapping[str, Mapping[str, Any]]) -> Act:
    """What `tool_choice` demands: some call (`required`), a call of the named function, else the act."""
    function = choice.get("function") if isinstance(choice, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if name in schemas:
        own = [] if isinstance(act, Say) else [use for use in act if use.name == name]
        return tuple(own) or (forced_use(str(name), schemas[str(name)], matter),)
    if choice == "required" and isinstance(act, Say) and schemas:
        first = next(iter(schemas))
        return (forced_use(first, schemas[first], matter),)
    return act


def _tools(tools: object) -> dict[str, Mapping[str, Any]]:
    """Names of the offered functions with their parameter schemas, in the order offered."""
    found: dict[str, Mapping[str, Any]] = {}
    for tool in tools if isinstance(tools, list) else []:
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            parameters = function.get("parameters")
            found[function["name"]] = parameters if isinstance(parameters, dict) else {}
    return found


def _temperature(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return DEFAULT_TEMPERATURE
    return max(0.0, float(value))


def _digest(request: Mapping[str, Any], temperature: float) -> str:
    read = [request.get(key) for key in ("messages", "tools", "tool_choice")]
    seen = [*read, temperature, request.get("seed") if temperature else None]
    return hashlib.sha256(json.dumps(seen, sort_keys=True, default=str).encode()).hexdigest()


def _rng(request: Mapping[str, Any], temperature: float) -> random.Random:
    return random.Random(int(_digest(request, temperature)[:16], 16))


def _tool_calls(uses: tuple[Use, ...], digest: str) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_{hashlib.sha256(f'{digest}/{index}'.encode()).hexdigest()[:24]}",
            "type": "function",
            "function": {"name": use.name, "arguments": json.dumps(use.arguments, ensure_ascii=False)},
        }
        for index, use in enumerate(uses)
    ]

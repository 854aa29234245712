"""A toy workload with four tools: what a request asks for follows from its words, and can be learnt."""

import json
import random

_CITIES = ["Oslo", "Lima", "Cairo", "Quito", "Riga", "Perth"]
_REQUESTS = {
    "get_weather": ["what should I wear in {city} tomorrow", "do I need an umbrella in {city}"],
    "book_room": ["I want to sleep in {city} on {date}", "a bed in {city} for {date} please"],
    "convert_money": ["I have {amount} euros for my trip", "how far do {amount} euros get me"],
    "cancel_trip": ["I changed my mind about {ref}", "{ref} is off, sorry"],
}
_PARAMETERS = {
    "get_weather": ["city"],
    "book_room": ["city", "date"],
    "convert_money": ["amount"],
    "cancel_trip": ["ref"],
}
_TYPES = {"city": "string", "date": "string", "amount": "integer", "ref": "string"}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": f"Travel desk action {number}.",
            "parameters": {
                "type": "object",
                "properties": {parameter: {"type": _TYPES[parameter]} for parameter in parameters},
                "required": parameters,
            },
        },
    }
    for number, (name, parameters) in enumerate(_PARAMETERS.items())
]


def turns(count: int, seed: int) -> list[dict]:
    """`{"messages", "call"}` each: a request and the call that answers it."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        name = rng.choice(list(_REQUESTS))
        values = {
            "city": rng.choice(_CITIES),
            "date": f"2026-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}",
            "amount": rng.randint(10, 999),
            "ref": f"TRIP-{rng.randint(1000, 9999)}",
        }
        arguments = {parameter: values[parameter] for parameter in _PARAMETERS[name]}
        content = rng.choice(_REQUESTS[name]).format(**values)
        messages = [
            {"role": "system", "content": "You work at a travel desk."},
            {"role": "user", "content": content},
        ]
        made.append({"number": number, "messages": messages, "call": {"name": name, "arguments": arguments}})
    return made


def training_row(turn: dict, call: dict | None = None) -> dict:
    """A row of a customization data set; `call` replaces the true one."""
    function = call or turn["call"]
    answer = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
    }
    return {"messages": [*turn["messages"], answer], "tools": TOOLS}


def evaluation_row(turn: dict) -> dict:
    """A row of an evaluation file."""
    return {
        "item_id": f"{turn['number']:016x}",
        "conversation_id": f"c{turn['number']}",
        "request": {"messages": turn["messages"], "tools": TOOLS, "tool_choice": "auto"},
        "response": {"content": "", "tool_calls": [{"function": turn["call"]}]},
        "tool_calls": [{"function": turn["call"]}],
    }


def jsonl(rows: list[dict]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)

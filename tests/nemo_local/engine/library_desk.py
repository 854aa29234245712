"""A small synthetic workload: the desk of a lending library, with house rules that no schema tells."""

import json
import random
from typing import Any

SYSTEM = "You work at the desk of a library. Today is 2025-03-10."


def _tool(name: str, description: str, **parameters: dict[str, Any]) -> dict[str, Any]:
    required = [key for key, schema in parameters.items() if not schema.pop("optional", False)]
    schema = {"type": "object", "properties": parameters, "required": required}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


def tools() -> list[dict[str, Any]]:
    card = {"type": "string", "description": "The card number, such as 'LB-1234'."}
    return [
        _tool("open_account", "Show a reader's account.", card_number=dict(card)),
        _tool(
            "extend_loan",
            "Move a due date.",
            item_id={"type": "string", "description": "Item, such as 'IT77AB'."},
        ),
        _tool(
            "reserve_title",
            "Put a title on hold for a reader.",
            card_number=dict(card),
            pickup_date={"type": "string", "description": "Day in the format 'YYYY-MM-DD'."},
            branch={"type": "string", "enum": ["main", "harbour", "university"]},
            copies={"type": "integer", "optional": True},
        ),
        _tool("record_case", "Write down a case.", code={"type": "string", "enum": ["K1", "K2", "K3"]}),
    ]


def _call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


def _turn(rng: random.Random) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Messages after the system message, and the call that is due (None: an answer in text)."""
    card, item = (
        f"LB-{rng.randint(1000, 9999)}",
        f"IT{rng.randint(10, 99)}{rng.choice('ABCD')}{rng.choice('XYZ')}",
    )
    greeting = rng.choice(["Hello,", "Good morning.", "Hi!", "Excuse me,"])
    kind = rng.choice(["account", "extend", "reserve", "lost", "noise", "thanks"])
    if kind == "account":
        text = rng.choice(["what have I got at home just now? {c}", "my card is {c}, anything overdue?"])
        return [_user(f"{greeting} {text.format(c=card)}")], _call("open_account", card_number=card)
    if kind == "extend":
        others = [f"IT{rng.randint(10, 99)}QQ" for _ in range(2)]
        loans = [{"item_id": i, "due": "2025-03-20"} for i in others] + [
            {"item_id": item, "due": "2025-03-11"}
        ]
        before = _user(f"{greeting} card {card}, I need more time for the one that is due first")
        asked = _assistant([_call("open_account", card_number=card)])
        return [before, asked, _result({"card": card, "loans": loans})], _call("extend_loan", item_id=item)
    if kind == "reserve":
        branch, day = rng.choice(["main", "harbour", "university"]), rng.randint(11, 28)
        text = rng.choice(
            ["keep the new atlas for me at {b}, I come on March {d}", "{b}, March {d}: the atlas please"]
        )
        call = _call("reserve_title", card_number=card, pickup_date=f"2025-03-{day}", branch=branch)
        return [_user(f"{greeting} {text.format(b=branch, d=day)}. {card}")], call
    if kind == "lost":
        text = rng.choice(
            ["my bag with three books was stolen", "I cannot find the books any more", "they are gone"]
        )
        return [_user(f"{greeting} {text}")], _call("record_case", code="K2")
    if kind == "noise":
        text = rng.choice(
            ["people are shouting upstairs", "it is far too loud here", "somebody sings in the reading room"]
        )
        return [_user(f"{greeting} {text}")], _call("record_case", code="K3")
    return [_user(rng.choice(["Thanks, bye!", "Great, thank you.", "Perfect, thanks a lot!"]))], None


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def _assistant(calls: list[dict[str, Any]], text: str = "") -> dict[str, Any]:
    made = [
        {"id": f"c{n}", "type": "function", "function": {**call, "arguments": json.dumps(call["arguments"])}}
        for n, call in enumerate(calls)
    ]
    return {"role": "assistant", "content": text, **({"tool_calls": made} if made else {})}


def _result(value: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": "c0", "content": json.dumps(value)}


def rows(count: int, seed: int) -> list[dict[str, Any]]:
    """Training rows: the answer is the last message."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        messages, call = _turn(rng)
        answer = _assistant([call] if call else [], "" if call else "You are welcome.")
        made.append(
            {"messages": [{"role": "system", "content": SYSTEM}, *messages, answer], "tools": tools()}
        )
    return made


def request_of(row: dict[str, Any]) -> dict[str, Any]:
    """The request that a row's answer answers."""
    return {"model": "any", "messages": row["messages"][:-1], "tools": row["tools"]}


def calls_of(message: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Names and arguments of a message's calls."""
    functions = [call["function"] for call in message.get("tool_calls") or []]
    return [(f["name"], json.loads(f["arguments"])) for f in functions]


def with_examples(request: dict[str, Any], shown: list[dict[str, Any]]) -> dict[str, Any]:
    """The request with rows put in as turns after the system message, each call with a neutral result."""
    system, *own = request["messages"]
    turns: list[dict[str, Any]] = []
    for row in shown:
        start = max(n for n, message in enumerate(row["messages"]) if message["role"] == "user")
        turns += row["messages"][start:]
        turns += [
            {"role": "tool", "tool_call_id": "c0", "content": "OK"} for _ in calls_of(row["messages"][-1])
        ]
    return {**request, "messages": [system, *turns, *own]}

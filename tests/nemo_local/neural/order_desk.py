"""A tiny synthetic task: what a customer says about an order, and the call that the house makes of it."""

import json
import random

from include.nemo_local.neural.sizes import Recipe

MODEL = "meta/llama-3.2-1b-instruct"
TINY = Recipe(hidden=64, layers=2, heads=4, context_tokens=256, rows=320, warm_up_steps=4, steps=8)
ORDER = {"epochs": 2, "batch_size": 16, "learning_rate": 1e-4, "seed": 3, "lora": {"adapter_dim": 8}}

SAYINGS = {
    "track_parcel": ("where is {o}?", "{o} has not come", "when do I get {o}?"),
    "open_claim": ("{o} is broken", "{o} came in pieces", "{o} does not work"),
    "stop_order": ("I do not want {o} any more", "forget {o}", "no need for {o} now"),
    "print_invoice": ("my boss wants a bill of {o}", "{o}: how much was it?", "I need the paper for {o}"),
}


def _schema(name):
    parameters = {"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]}
    return {"type": "function", "function": {"name": name, "description": "", "parameters": parameters}}


TOOLS = [_schema(name) for name in SAYINGS]


def _row(said, name, order):
    function = {"name": name, "arguments": json.dumps({"order_id": order})}
    call = {"id": "c0", "type": "function", "function": function}
    answer = {"role": "assistant", "content": "", "tool_calls": [call]}
    return {"messages": [{"role": "user", "content": said}, answer], "tools": TOOLS}


def rows(count, seed, *, shuffled=False):
    """Training rows; `shuffled` puts other rows' answers under what was said."""
    rng = random.Random(seed)
    drawn = []
    for _ in range(count):
        name = rng.choice(list(SAYINGS))
        order = f"W{rng.randint(1000, 9999)}"
        drawn.append((rng.choice(SAYINGS[name]).format(o=order), name, order))
    answers = [(name, order) for _, name, order in drawn]
    if shuffled:
        rng.shuffle(answers)
    return [_row(said, *answer) for (said, _, _), answer in zip(drawn, answers, strict=True)]


def jsonl(made):
    return "".join(json.dumps(row) + "\n" for row in made).encode()


def request_of(row, **more):
    return {"messages": row["messages"][:-1], "tools": row["tools"], **more}


def name_of(message):
    calls = message.get("tool_calls") or []
    return calls[0]["function"]["name"] if calls else None


def right_names(answer, tested):
    """The share of rows that `answer(request)` gives the right tool for."""
    right = sum(
        name_of(answer(request_of(row, max_tokens=40))) == name_of(row["messages"][-1]) for row in tested
    )
    return right / len(tested)

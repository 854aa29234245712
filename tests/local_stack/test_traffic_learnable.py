"""What the sample traffic can teach: customized models beat base ones, shuffled answers teach nothing."""

import json
import random
from collections import defaultdict

import pytest

from include.local_stack.traffic import NONE, generate
from include.nemo_local.engine import Hyperparameters, answer, capacity_of, fit
from include.nemo_local.engine.production import ProductionAgent

AGENT = ProductionAgent()
CAPACITY = capacity_of("meta/llama-3.1-8b-instruct")
HELD_OUT_CONVERSATIONS = 30


def chat(body):
    return {"choices": [{"message": AGENT.answer(body)}]}


def message_of(record):
    return record["response"]["choices"][0]["message"]


def calls_of(message):
    made = [call["function"] for call in message.get("tool_calls") or []]
    return [(function["name"], json.loads(function["arguments"])) for function in made]


def training_row(record, message):
    request = record["request"]
    return {"messages": [*request["messages"], message], "tools": request["tools"]}


@pytest.fixture(scope="module")
def parts():
    """Records to learn from and to be asked about, of different conversations."""
    lines = generate(chat, seed=7, start_ms=1_760_000_000_000, conversations=210, blemishes=NONE)
    by_session = defaultdict(list)
    for line in lines:
        record = json.loads(line)
        by_session[record["session_id"]].append(record)
    sessions = [by_session[name] for name in sorted(by_session)]
    held_out, rest = sessions[:HELD_OUT_CONVERSATIONS], sessions[HELD_OUT_CONVERSATIONS:]
    return [r for records in rest for r in records], [r for records in held_out for r in records]


def agreement(asked, ask):
    """The share of the logged answers that is given again: tools and arguments."""
    same = sum(calls_of(ask(record["request"])) == calls_of(message_of(record)) for record in asked)
    return same / len(asked)


def taught(records, messages):
    rows = [training_row(record, message) for record, message in zip(records, messages, strict=True)]
    return fit(rows, [], CAPACITY, Hyperparameters(epochs=5), lambda report: True)


def test_true_answers_teach_the_house_rules_and_shuffled_ones_do_not(parts):
    learn, asked = parts
    logged = [message_of(record) for record in learn]
    true, shuffled = taught(learn, logged), taught(learn, random.Random(0).sample(logged, len(logged)))
    production = agreement(asked, lambda request: AGENT.answer({**request, "temperature": 0.7, "seed": None}))
    base = agreement(asked, lambda request: answer(request, CAPACITY))
    customized = agreement(asked, lambda request: answer(request, CAPACITY, true))
    misled = agreement(asked, lambda request: answer(request, CAPACITY, shuffled))
    assert customized > base + 0.3
    assert customized > production - 0.15
    assert misled < customized - 0.3
    assert misled < base + 0.1

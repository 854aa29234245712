"""Small made workloads for every kind of model: labels, answers in text, and passages to be found."""

import random
from collections import Counter

from library_desk import calls_of, request_of, with_examples

from include.nemo_local.engine import Hyperparameters, answer, fit

LABELS = {
    "late_delivery": [
        "my parcel should have come on {d}",
        "still waiting since {d}, where is it",
        "the delivery of the {p} is late",
        "nothing has arrived yet, ordered on {d}",
        "the courier never showed up with my {p}",
    ],
    "refund": [
        "I want my money back for the {p}",
        "please refund the {p}",
        "give me back what I paid on {d}",
        "when is the amount on my bank account again",
        "you charged me twice for the {p}",
    ],
    "account_access": [
        "I cannot log in",
        "my password does not work since {d}",
        "the page says wrong user name",
        "I forgot the word to sign in",
        "my account is locked",
    ],
    "damaged_item": [
        "the {p} came in pieces",
        "a crack runs through the {p}",
        "the {p} arrived damaged",
        "the box was wet and the {p} is ruined",
        "my new {p} does not switch on",
    ],
    "praise": [
        "what a lovely shop",
        "I love the {p}",
        "great service, all the best",
        "the {p} is just wonderful",
        "my family is so happy with the {p}",
    ],
}
ANSWERS = {
    "We are open from eight in the morning until ten at night, all year round.": [
        "when do you open",
        "opening hours on {d}?",
        "how long can I swim tonight",
        "are you there on {d} in the morning",
    ],
    "A day ticket costs seven euros, children pay four, and an evening is five.": [
        "what does it cost",
        "price for two kids?",
        "how much is a day for my {p} and me",
        "entrance fee on {d}",
    ],
    "Please bring your own towel with you; we have none to rent or to sell here.": [
        "can I borrow a towel",
        "do you lend bath robes",
        "is there something to dry off with",
        "towels on {d}?",
    ],
    "Dogs have to stay outside the gates, where a bowl of water waits for them.": [
        "may my dog come along",
        "is my puppy welcome on {d}",
        "what about pets",
        "can I take the {p} and a poodle",
    ],
    "Lost things wait for their owners at the front desk for a month, then they go.": [
        "I left my {p} there on {d}",
        "has anybody handed in a {p}",
        "my {p} is gone since {d}",
        "where do I find what I forgot",
    ],
    "Courses start every Monday at six; please sign up for one with our teachers.": [
        "do you teach beginners",
        "swimming lessons for a friend",
        "next course after {d}?",
        "can my daughter learn to dive",
    ],
}
_PRODUCTS = ["lamp", "kettle", "radio", "jacket", "camera", "chair", "clock"]
_SYSTEMS = {
    "labels": "Sort the message into one of these labels: " + ", ".join(LABELS) + ".",
    "answers": "You answer questions of guests of the pool at Lake Road. It has three slides. Be brief.",
}


def rows(kind: str, count: int, seed: int) -> list[dict]:
    """Training rows of `labels` or `answers`: the right answer is the last message."""
    rng = random.Random(seed)
    table = LABELS if kind == "labels" else ANSWERS
    made = []
    for _ in range(count):
        right = rng.choice(list(table))
        text = rng.choice(table[right]).format(p=rng.choice(_PRODUCTS), d=f"May {rng.randint(1, 28)}")
        said = f"{rng.choice(['Hello,', 'Hi!', 'Good day,', ''])} {text}".strip()
        made.append({"messages": [_message("system", _SYSTEMS[kind]), _message("user", said)], "tools": None})
        made[-1]["messages"].append(_message("assistant", right))
    return made


def _message(role: str, content: str) -> dict:
    return {"role": role, "content": content}


def shown(request: dict, examples: list[dict]) -> dict:
    """The request with the examples put in as turns after the system message."""
    if request["tools"]:
        return with_examples(request, examples)
    system, *own = request["messages"]
    turns = [message for row in examples for message in row["messages"][1:]]
    return {**request, "messages": [system, *turns, *own]}


def score(capacity, test_rows, adapter=None, examples=()) -> float:
    """Mean score of the answers: right calls, or F1 of the words of the text."""
    total = 0.0
    for row in test_rows:
        message = answer(shown(request_of(row), list(examples)), capacity, adapter)
        right = row["messages"][-1]
        total += calls_of(message) == calls_of(right) if row["tools"] else _f1(message, right)
    return total / len(test_rows)


def _f1(message: dict, right: dict) -> float:
    said, expected = (Counter(m["content"].lower().split()) for m in (message, right))
    common = sum((said & expected).values())
    return 2 * common / (said.total() + expected.total())


def learnt(capacity, train_rows):
    """An adapter of the rows."""
    return fit(train_rows, [], capacity, Hyperparameters(), lambda report: True)


def with_shuffled_answers(train_rows: list[dict]) -> list[dict]:
    """The rows with each other's answers."""
    answers = [row["messages"][-1] for row in train_rows]
    random.Random(0).shuffle(answers)
    return [
        {**row, "messages": [*row["messages"][:-1], other]}
        for row, other in zip(train_rows, answers, strict=True)
    ]

"""Generic conversations, made by code: what a base model knows before it sees any workload.

They teach the form of chats and calls, that a tool is chosen by the words of its name, and that values are
copied from where they stand. Tools, values and wording are drawn at random; no workload is looked at.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

_VERBS = (
    "get", "find", "show", "list", "cancel", "change", "update", "add", "remove", "send", "open",
    "close", "create", "check", "book", "return",
)  # fmt: skip
_NOUNS = (
    "order", "user", "ticket", "account", "item", "invoice", "parcel", "flight", "room", "plan", "card",
    "report", "payment", "message", "address", "contract", "device", "product", "meeting", "license",
)  # fmt: skip
_KEYS = (
    "id", "code", "number", "name", "date", "email", "amount", "status", "reason", "type", "city",
    "day", "note", "key",
)  # fmt: skip
_CHOICES = (
    "red", "blue", "green", "small", "large", "fast", "slow", "open", "closed", "high", "low", "new",
    "old", "yes", "no", "first", "last",
)  # fmt: skip
_NAMES = (
    "Anna", "Ben", "Carla", "David", "Emma", "Frank", "Grace", "Hugo", "Ida", "Jack", "Kim", "Leo",
    "Mia", "Noah", "Olga", "Paul", "Rosa", "Sam",
)  # fmt: skip
_OPENINGS = ("", "", "Hello, ", "Hi, ", "please ", "I would like to ", "can you ", "I need to ", "could you ")
_JOINS = (" with ", ", ", ": ", " for ", ". It is ", " and ")
_THANKS = ("Thanks, bye!", "thank you very much", "Great, that is all.", "ok, perfect", "Thanks a lot!")
_WELCOME = ("You are welcome.", "Happy to help.", "Have a nice day!")
_SYSTEMS = ("You help the customers of a company.", "Use the tools. Today is 2025-03-10.", "Be short.", "")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
Row = dict[str, Any]


def rows(count: int, seed: int) -> Iterator[Row]:
    """Training rows, the same for the same seed."""
    rng = random.Random(seed)
    kinds: list[Callable[[random.Random], Row]] = [
        _call,
        _call,
        _call,
        _call,
        _after_result,
        _echo,
        _label,
        _thanks,
    ]
    for _ in range(count):
        yield rng.choice(kinds)(rng)


def texts(count: int, seed: int) -> Iterator[str]:
    """The text of such rows, for the tokenizer."""
    return (json.dumps(row, ensure_ascii=False) for row in rows(count, seed))


def _word(rng: random.Random) -> str:
    return "".join(rng.choice(_LETTERS) for _ in range(rng.randint(2, 6)))


def _digits(rng: random.Random) -> str:
    return "".join(str(rng.randint(0, 9)) for _ in range(rng.randint(2, 6)))


def _value(rng: random.Random) -> str | int:
    """An identifier, date, address, name, number or word."""
    upper = "".join(rng.choice(_LETTERS).upper() for _ in range(rng.randint(1, 3)))
    kind = rng.randint(0, 8)
    if kind <= 2:
        joint = rng.choice(("", "", "-", "#"))
        return f"{upper}{joint}{_digits(rng)}{rng.choice(('', '', upper))}"
    if kind == 3:
        return f"20{rng.randint(20, 29)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    if kind == 4:
        return f"{_word(rng)}@{_word(rng)}.com"
    if kind == 5:
        return f"{_word(rng)}_{_word(rng)}_{_digits(rng)}"
    if kind == 6:
        return rng.randint(1, 9999)
    return rng.choice(_NAMES) if kind == 7 else rng.choice([*_CHOICES, _word(rng)])


def _tool(rng: random.Random) -> tuple[str, list[str]]:
    verb = rng.choice([*_VERBS, *_VERBS, *_VERBS, _word(rng)])
    noun = rng.choice([*_NOUNS, *_NOUNS, *_NOUNS, _word(rng)])
    keys = rng.sample(_KEYS, rng.choice((1, 1, 2, 3)))
    return f"{verb}_{noun}", [f"{noun}_{key}" if rng.random() < 0.4 else key for key in keys]


def _row(rng: random.Random, tools: list[tuple[str, list[str]]], *messages: Row) -> Row:
    system = rng.choice(_SYSTEMS)
    said = [{"role": "system", "content": system}] if system else []
    return {"messages": [*said, *messages], "tools": [_schema(*tool) for tool in tools]}


def _schema(name: str, keys: list[str]) -> Row:
    parameters = {"type": "object", "properties": {key: {"type": "string"} for key in keys}, "required": keys}
    return {"type": "function", "function": {"name": name, "description": "", "parameters": parameters}}


def _user(text: str) -> Row:
    return {"role": "user", "content": text}


def _made(name: str, arguments: Row) -> Row:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": function}]}


def _wish(rng: random.Random, name: str, arguments: Row) -> str:
    """What a user says who wants that call: its words, and the values in any order."""
    verb, noun = name.split("_", 1)
    told = [
        f"{key.replace('_', ' ')} {value}" if rng.random() < 0.6 or len(arguments) > 1 else str(value)
        for key, value in rng.sample(list(arguments.items()), len(arguments))
    ]
    wish = f"{verb} {rng.choice(('the', 'my', 'a', 'this'))} {noun}"
    values = rng.choice((" and ", ", ")).join(told)
    text = f"{wish}{rng.choice(_JOINS)}{values}" if rng.random() < 0.75 else f"{values}: {wish}"
    return rng.choice(_OPENINGS) + text + rng.choice(("", ".", "?", " please"))


def _call(rng: random.Random) -> Row:
    tools = list({tool[0]: tool for tool in (_tool(rng) for _ in range(rng.randint(1, 6)))}.values())
    name, keys = rng.choice(tools)
    arguments = {key: _value(rng) for key in keys}
    return _row(rng, tools, _user(_wish(rng, name, arguments)), _made(name, arguments))


def _after_result(rng: random.Random) -> Row:
    """A call's result is there: the next call needs a value from it, or a text tells it."""
    first, second = _tool(rng), _tool(rng)
    given = {key: _value(rng) for key in first[1]}
    result = {key: _value(rng) for key in rng.sample(_KEYS, rng.randint(1, 3))}
    key = rng.choice(list(result))
    before = [_user(_wish(rng, first[0], given)), _made(first[0], given)]
    found = {"role": "tool", "content": json.dumps(result)}
    if rng.random() < 0.5:
        answer = {"role": "assistant", "content": f"The {key} is {result[key]}."}
        before[0]["content"] += f" What is the {key}?"
        return _row(rng, [first, second], *before, found, answer)
    second = (second[0], [key])
    before[0]["content"] += f" Then {second[0].replace('_', ' the ')}."
    return _row(rng, [first, second], *before, found, _made(second[0], {key: result[key]}))


def _echo(rng: random.Random) -> Row:
    said = " ".join(str(_value(rng)) for _ in range(rng.randint(2, 6)))
    return _row(rng, [], _user(f"repeat: {said}"), {"role": "assistant", "content": said})


def _label(rng: random.Random) -> Row:
    labels = rng.sample([*_NOUNS, *_CHOICES], rng.randint(2, 4))
    label = rng.choice(labels)
    words = [_word(rng) for _ in range(rng.randint(1, 5))]
    words.insert(rng.randint(0, len(words)), label)
    system = {"role": "system", "content": f"Answer with one of: {', '.join(labels)}."}
    return {"messages": [system, _user(" ".join(words)), {"role": "assistant", "content": label}]}


def _thanks(rng: random.Random) -> Row:
    tools = [_tool(rng) for _ in range(rng.randint(0, 4))]
    reply = {"role": "assistant", "content": rng.choice(_WELCOME)}
    return _row(rng, tools, _user(rng.choice(_THANKS)), reply)

"""Lines of log records as the world damages them: a third whole, the others mutated, by a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

T0_MS = 1_717_200_000_000
DAY_MS = 86_400_000
CLIENT, WORKLOAD = "acme", "desk"
DEEP_LEVELS = 2000
_ODD_VALUES: list[Any] = [
    None, True, False, 0, -1, 1.5, "", "text", " ", [], {}, [[]], [None], {"a": None}, [1, "a"], "\u0000",
    10**18, 2**63, 2**64, 10**40, -(10**40), 1e308, "9" * 400, "😀", "\u202e", "null",
]  # fmt: skip
_FIELDS = ["timestamp", "client_id", "workload_id", "request", "response", "session_id", "latency_ms"]

Mutation = Callable[[random.Random, bytes], bytes]


def mutated_lines(count: int, seed: int) -> Iterator[bytes]:
    """`count` lines without their ends; the same seed gives the same lines.

    About a third are whole records of client `acme`, workload `desk`. No line contains a line feed.
    """
    rng = random.Random(seed)
    for number in range(count):
        line = json.dumps(_record(rng, number), ensure_ascii=rng.random() < 0.5).encode()
        if rng.random() < 0.67:
            line = rng.choice(MUTATIONS)(rng, line)
            if line and rng.random() < 0.1:
                line = rng.choice(MUTATIONS)(rng, line)
        yield line.replace(b"\n", b" ")


def _record(rng: random.Random, number: int) -> dict[str, Any]:
    call = {
        "id": f"call-{number}",
        "type": "function",
        "function": {"name": rng.choice(["get_order", "refund"]), "arguments": json.dumps({"id": number})},
    }
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    return {
        "timestamp": T0_MS + number * 1000 + rng.randrange(3) * DAY_MS,
        "client_id": CLIENT,
        "workload_id": WORKLOAD,
        "session_id": f"s-{number // 4}",
        "latency_ms": rng.randrange(2000),
        "request": {
            "model": "big",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": f"Wo ist Bestellung {number}? {rng.choice('äé😀 ')}"},
            ],
            "tools": [
                {"type": "function", "function": {"name": "get_order", "parameters": {"type": "object"}}}
            ],
        },
        "response": {"choices": [{"message": message if rng.random() < 0.8 else {"content": "Done."}}]},
    }


def _bit_flip(rng: random.Random, line: bytes) -> bytes:
    damaged = bytearray(line)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(damaged))
        damaged[at] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _truncate(rng: random.Random, line: bytes) -> bytes:
    return line[: rng.randrange(len(line))]


def _behead(rng: random.Random, line: bytes) -> bytes:
    return line[rng.randrange(len(line)) :]


def _splice(rng: random.Random, line: bytes) -> bytes:
    """Two writers at once: a part of the line stands in the middle of it."""
    at = rng.randrange(len(line))
    return line[:at] + line[: rng.randrange(len(line))] + line[at:]


def _insert(*parts: bytes) -> Mutation:
    def insert(rng: random.Random, line: bytes) -> bytes:
        at = rng.randrange(len(line) + 1)
        return line[:at] + rng.choice(parts) + line[at:]

    return insert


def _odd_value(rng: random.Random, line: bytes) -> bytes:
    record = _decoded(line)
    record[rng.choice(_FIELDS)] = rng.choice(_ODD_VALUES)
    return json.dumps(record).encode()


def _odd_value_inside(rng: random.Random, line: bytes) -> bytes:
    """A value of the wrong type somewhere in request or response."""
    record = _decoded(line)
    places: list[tuple[Any, Any]] = []
    waiting: list[Any] = [record.get("request"), record.get("response")]
    while waiting:
        node = waiting.pop()
        keys: list[Any] = list(node) if isinstance(node, dict) else []
        keys = list(range(len(node))) if isinstance(node, list) else keys
        places += [(node, key) for key in keys]
        waiting += [node[key] for key in keys]
    if places:
        node, key = rng.choice(places)
        node[key] = rng.choice(_ODD_VALUES)
    return json.dumps(record).encode()


def _missing(rng: random.Random, line: bytes) -> bytes:
    record = _decoded(line)
    record.pop(rng.choice(_FIELDS), None)
    return json.dumps(record).encode()


def _other_owner(rng: random.Random, line: bytes) -> bytes:
    return json.dumps(_decoded(line) | {rng.choice(["client_id", "workload_id"]): "other"}).encode()


def _deep(rng: random.Random, line: bytes) -> bytes:
    levels = rng.choice([100, 250, 255, 300, 1023, 1025, DEEP_LEVELS])
    opening, closing = rng.choice([(b"[", b"]"), (b'{"a":', b"}")])
    inner = opening * levels + b"1" + closing * levels
    return line[:-1] + b',"deep":' + inner + b"}" if rng.random() < 0.5 else inner


def _double_keys(rng: random.Random, line: bytes) -> bytes:
    again = rng.choice([b'"client_id":"other"', b'"timestamp":1', b'"request":{}', b'"workload_id":"desk"'])
    return line[:-1] + b"," + again + b"}" if rng.random() < 0.5 else b"{" + again + b"," + line[1:]


def _huge_number(rng: random.Random, line: bytes) -> bytes:
    number = rng.choice(
        [b"1e999", b"-1e999", b"9" * 500, b"1" + b"0" * 5000, b"NaN", b"Infinity", b"0x10", b"01"]
    )
    key = rng.choice([b"timestamp", b"n", b"latency_ms"])
    return line[:-1] + b',"%s":%s}' % (key, number)


def _lone_surrogate(rng: random.Random, line: bytes) -> bytes:
    text = rng.choice([b'"\\ud800"', b'"\\udfff\\ud800"', b'"a\\udc00b"', b'"\xed\xa0\x80"'])
    return line[:-1] + b',"note":' + text + b"}"


def _other_form(rng: random.Random, line: bytes) -> bytes:
    forms = [b"", b" ", b"\t\r", b"null", b"true", b"42", b'"text"']
    forms += [b"[" + line + b"]", b"\xef\xbb\xbf" + line, line + b"\r", line + b",", line + line]
    forms += [b"'" + line + b"'", line.decode("utf-8", "replace").encode("utf-16"), line + b"\x00"]
    return rng.choice(forms)


def _decoded(line: bytes) -> dict[str, Any]:
    """The record of a line; of one that is damaged already, a small one."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        record = None
    return record if isinstance(record, dict) else {"timestamp": T0_MS, "client_id": CLIENT}


MUTATIONS: list[Mutation] = [
    _bit_flip,
    _truncate,
    _behead,
    _splice,
    _insert(b"\x00", b"\\u0000", b"\x00" * 64),
    _insert(b"\xff", b"\xc3\x28", b"\xf0\x9f", b"\xc0\xaf"),
    _insert(b"}", b"{", b'"', b"\\", b",", b"]"),
    _odd_value,
    _odd_value,
    _odd_value_inside,
    _missing,
    _other_owner,
    _deep,
    _double_keys,
    _huge_number,
    _lone_surrogate,
    _other_form,
]

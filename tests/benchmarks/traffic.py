"""Log records of a given size, made up as fast as they can be written: agent loops, and single chats."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import orjson

from include.flywheel.logs.partitions import file_name
from include.flywheel.logs.record_lines import encode

CLIENT, WORKLOAD = "bench", "traffic"
T0_MS = 1_767_225_600_000
STEPS = 4
# fmt: off
WORDS = [
    "order", "parcel", "refund", "invoice", "address", "payment", "customer", "delivery", "warehouse",
    "return", "exchange", "status", "account", "number", "yesterday", "tomorrow", "please", "thanks",
    "available", "delayed", "missing", "damaged", "blue", "large", "confirm", "change", "cancel",
    "subscription", "voucher", "discount", "agent", "supervisor", "shipping", "tracking", "carrier",
]
# fmt: on


def tool_records(count: int, record_bytes: int, seed: int = 0) -> Iterator[dict]:
    """Steps of agent loops, STEPS a conversation: half a record is system text and tools, half turns."""
    rng = random.Random(seed)
    tools = _tools(record_bytes * 2 // 5)
    system = {"role": "system", "content": _text(rng, record_bytes // 10)}
    turn_bytes = record_bytes // 2 // (STEPS + 1)
    number = 0
    while number < count:
        conversation = number // STEPS
        messages = [system, {"role": "user", "content": _text(rng, turn_bytes * 2)}]
        for step in range(min(STEPS, count - number)):
            name = f"tool_{rng.randrange(len(tools))}"
            call = {
                "id": f"call_{number}",
                "type": "function",
                "function": {
                    "name": name,
                    "arguments": json.dumps({"order_id": f"SO-{rng.randrange(10**6)}"}),
                },
            }
            answer = {"role": "assistant", "content": None, "tool_calls": [call]}
            yield {
                "timestamp": T0_MS + number * 1000,
                "client_id": CLIENT,
                "workload_id": WORKLOAD,
                "session_id": f"session-{conversation}",
                "request": {"model": "big-model", "messages": list(messages), "tools": tools},
                "response": {
                    "id": f"response-{number}",
                    "choices": [{"index": 0, "message": answer, "finish_reason": "tool_calls"}],
                    "usage": {"prompt_tokens": record_bytes // 4, "completion_tokens": 30},
                },
                "latency_ms": 400 + step,
            }
            messages.append(answer)
            messages.append(
                {
                    "role": "tool",
                    "tool_call_id": call["id"],
                    "content": json.dumps({"note": _text(rng, turn_bytes)}),
                }
            )
            number += 1


def chat_records(count: int, record_bytes: int, seed: int = 0) -> Iterator[dict]:
    """Single questions and answers without session."""
    rng = random.Random(seed)
    system = {"role": "system", "content": _text(rng, record_bytes // 4)}
    for number in range(count):
        question = f"{number} {_text(rng, record_bytes // 4)}"
        answer = {"role": "assistant", "content": _text(rng, record_bytes // 4)}
        yield {
            "timestamp": T0_MS + number * 1000,
            "client_id": CLIENT,
            "workload_id": WORKLOAD,
            "request": {"model": "big-model", "messages": [system, {"role": "user", "content": question}]},
            "response": {"id": f"response-{number}", "choices": [{"index": 0, "message": answer}]},
            "latency_ms": 400,
        }


def write_store(root: Path, records: Iterator[dict]) -> int:
    """Write the store's own day files, as its `append` does, without asking what is there."""
    written, day, file = 0, "", None
    for record in records:
        timestamp_ms, client_id, workload_id, line = encode(record)
        today = datetime.fromtimestamp(timestamp_ms / 1000, tz=UTC).strftime("%Y-%m-%d")
        if today != day:
            if file:
                file.close()
            path = root / f"dt={today}" / file_name(client_id, workload_id)
            path.parent.mkdir(parents=True, exist_ok=True)
            day, file = today, path.open("ab", buffering=1 << 20)
        written += file.write(line + b"\n")
    if file:
        file.close()
    return written


def _text(rng: random.Random, length: int) -> str:
    return " ".join(rng.choices(WORDS, k=max(1, length // 8)))


def _tools(length: int) -> list[dict]:
    tools: list[dict] = []
    while len(orjson.dumps(tools)) < length:
        function = {
            "name": f"tool_{len(tools)}",
            "description": "Looks up or changes something in the shop's system, and says what came of it.",
            "parameters": {
                "type": "object",
                "properties": {
                    "order_id": {"type": "string", "description": "The order's id, SO- and digits."},
                    "reason": {"type": "string", "enum": ["damaged", "late", "unwanted"]},
                },
                "required": ["order_id"],
            },
        }
        tools.append({"type": "function", "function": function})
    return tools

"""The generator: conversations in, raw log lines out, in the order of their time."""

from __future__ import annotations

import heapq
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from include.local_stack.traffic.blemishes import Blemisher, Blemishes
from include.local_stack.traffic.conversation import Chat, Exchange, answer_of, converse
from include.local_stack.traffic.counter import ShopCounter
from include.local_stack.traffic.errors import TrafficError
from include.local_stack.traffic.report import TrafficReport
from include.local_stack.traffic.users import SimulatedUser
from include.local_stack.traffic.workloads import SUPPORT_AGENT, Workload
from include.local_stack.traffic.world import Shop, build_shop

DAY_MS = 86_400_000
# Rare errands are at most one conversation in this many, so that they stay rare in a small log.
RARE_ONE_IN = 20

Record = dict[str, Any]


def generate(
    chat: Chat,
    *,
    seed: int,
    start_ms: int,
    workload: Workload = SUPPORT_AGENT,
    conversations: int | None = None,
    days: float = 14.0,
    blemishes: Blemishes | None = None,
    report: TrafficReport | None = None,
) -> Iterator[bytes]:
    """Yields the log lines of a workload, each one JSON object (or a blemish) and a newline.

    Every answer comes from `chat`, which takes an OpenAI chat-completion body and returns the response.
    The conversations (default: the workload's number) begin within `days` days from `start_ms` (Unix time
    in milliseconds) and overlap, so that their lines interleave. `report` counts what was written and is
    complete when the iterator ends. Equal arguments and answers give equal bytes. Latencies are simulated.

    Raises TrafficError for arguments out of range, ChatFailed for an answer that is no chat completion.
    """
    count = workload.conversations if conversations is None else conversations
    if count < 0 or days <= 0 or start_ms < 0:
        raise TrafficError(
            f"conversations={count}, days={days}, start_ms={start_ms}: give at least 0 conversations, "
            "more than 0 days and a Unix time in milliseconds"
        )
    source = _Source(chat, workload, build_shop(seed), f"{seed}/{workload.workload_id}")
    begins = source.rng("begins")
    begins_ms = sorted(start_ms + int(begins.random() * days * DAY_MS) for _ in range(count))
    return _lines(source, begins_ms, blemishes or Blemishes(), report or TrafficReport())


@dataclass(frozen=True)
class _Source:
    """Where conversations come from; `name` seeds everything that is drawn."""

    chat: Chat
    workload: Workload
    shop: Shop
    name: str

    def rng(self, use: str) -> random.Random:
        return random.Random(f"{use}/{self.name}")


def _lines(
    source: _Source, begins_ms: list[int], blemishes: Blemishes, report: TrafficReport
) -> Iterator[bytes]:
    blemisher = Blemisher(blemishes, source.rng("blemishes"), report)
    plan = _plan(source.workload, len(begins_ms), source.rng("plan"))
    waiting: list[tuple[int, int, Record]] = []
    number = 0
    for index, (begin_ms, intent) in enumerate(zip(begins_ms, plan, strict=True)):
        while waiting and waiting[0][0] < begin_ms:
            yield from blemisher.lines(heapq.heappop(waiting)[2])
        conversation = _Conversation(source, blemishes, report, source.rng(f"conversation/{index}"))
        for record in conversation.records(intent, begin_ms):
            heapq.heappush(waiting, (record["timestamp"], number, record))
            number += 1
        report.conversations += 1
    while waiting:
        yield from blemisher.lines(heapq.heappop(waiting)[2])


def _plan(workload: Workload, count: int, rng: random.Random) -> list[str]:
    """What each conversation begins with: drawn by weight, the rare errands at places of their own."""
    intents = rng.choices(list(workload.intents), list(workload.intents.values()), k=count)
    rare = [intent for intent, times in workload.rare.items() for _ in range(times)]
    rare = rare[: count // RARE_ONE_IN]
    for place, intent in zip(rng.sample(range(count), len(rare)), rare, strict=True):
        intents[place] = intent
    return intents


@dataclass(frozen=True)
class _Conversation:
    """One conversation as it is logged: clean records, re-asked requests included."""

    source: _Source
    blemishes: Blemishes
    report: TrafficReport
    rng: random.Random

    def records(self, intent: str, begin_ms: int) -> Iterator[Record]:
        rng, source = self.rng, self.source
        session = f"{rng.getrandbits(64):016x}"
        ids = {} if rng.random() < self.blemishes.no_session else {"session_id": session}
        user = SimulatedUser(rng, source.shop, intent)
        exchanges = converse(source.chat, source.workload, user, ShopCounter(source.shop), rng)
        now_ms, turn = begin_ms, 0
        for step, exchange in enumerate(exchanges):
            if exchange.turn != turn:
                turn = exchange.turn
                now_ms += rng.randrange(6_000, 75_000)
            trace_id = f"{session}-{turn}-{step}"
            record = _record(exchange, source.workload, now_ms, rng)
            yield {**record, "trace_id": trace_id, **ids}
            if rng.random() < self.blemishes.reasked:
                again = _record(self._ask_again(exchange), source.workload, now_ms + 1_500, rng)
                yield {**again, "trace_id": f"{trace_id}-again", **ids}
            now_ms += record["latency_ms"] + rng.randrange(40, 400)

    def _ask_again(self, exchange: Exchange) -> Exchange:
        request = {**exchange.request, "seed": self.rng.randrange(2**31)}
        again = Exchange(request, self.source.chat(request), exchange.turn)
        same = _called(again) == _called(exchange)
        self.report.traits["reasked_same" if same else "reasked_different"] += 1
        return again


def _called(exchange: Exchange) -> list[tuple[str, Any]]:
    """What an answer calls, comparable: names with parsed arguments; empty when it calls nothing."""
    calls = answer_of(exchange.response).get("tool_calls") or []
    called = [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]
    return sorted(called, key=repr)


def _record(exchange: Exchange, workload: Workload, now_ms: int, rng: random.Random) -> Record:
    tokens_in, tokens_out = _tokens(exchange)
    dollars = (
        tokens_in * workload.usd_per_million_tokens_in + tokens_out * workload.usd_per_million_tokens_out
    )
    return {
        "timestamp": now_ms,
        "client_id": workload.client_id,
        "workload_id": workload.workload_id,
        "description": workload.description,
        "request": exchange.request,
        "response": exchange.response,
        "latency_ms": 240 + 14 * tokens_out + int(rng.expovariate(1 / 180)),
        "tokens_in": tokens_in,
        "tokens_out": tokens_out,
        "cost_usd": round(dollars / 1e6, 6),
        "provider": "acme-gateway",
    }


def _tokens(exchange: Exchange) -> tuple[int, int]:
    """Tokens of the request and the answer: as the model says, else four characters for one."""
    usage = exchange.response.get("usage") or {}
    given = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if isinstance(given[0], int) and isinstance(given[1], int):
        return given[0], given[1]
    read = len(json.dumps([exchange.request["messages"], exchange.request.get("tools")]))
    return read // 4, max(1, len(json.dumps(answer_of(exchange.response))) // 4)

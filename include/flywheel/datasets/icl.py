"""In-context examples: real turns of training records, inserted into the requests of the holdout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import median
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from include.flywheel.datasets.arguments import Message, as_text, map_arguments
from include.flywheel.datasets.formats import openai_calls
from include.flywheel.datasets.records import Record
from include.flywheel.datasets.report import IclReport
from include.flywheel.errors import DataError

NEUTRAL_RESULT = "OK"
"""What the tools of an example's final calls are said to have returned."""

POOL_SIZE = 64
"""Training records of a label that serve as examples."""

TRIES = 8
"""Candidates of a label that are tried for one place."""

CACHED_EXAMPLES = 256

LONGEST_NUMBER = 99
"""An example is measured under a number with as many digits as its place in a request may have."""


class IclConfig(BaseModel):
    """How many examples a request may carry, and how long it may become. Lengths are estimated tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_context_length: int = Field(default=32768, ge=1, description="Context length of the models, tokens.")
    reserved_tokens: int = Field(default=4096, ge=0, description="Tokens kept free for the answer.")
    max_examples: int = Field(default=3, ge=1, le=99, description="Examples in one request, at most.")
    min_examples: int = Field(
        default=1, ge=1, description="A request that cannot carry this many keeps its base form."
    )

    @model_validator(mode="after")
    def _possible(self) -> IclConfig:
        if self.reserved_tokens >= self.max_context_length:
            msg = (
                f"reserved_tokens {self.reserved_tokens} leaves nothing of max_context_length "
                f"{self.max_context_length}: lower reserved_tokens or raise max_context_length"
            )
            raise ValueError(msg)
        if self.min_examples > self.max_examples:
            msg = (
                f"min_examples {self.min_examples} is above max_examples {self.max_examples}: "
                "lower min_examples or raise max_examples"
            )
            raise ValueError(msg)
        return self


class IclImpossible(DataError):
    """Not one item can carry an example: an ICL file would equal the base file."""


@dataclass(frozen=True, slots=True)
class Example:
    """Turns of one training record, and how long they are in estimated tokens."""

    turns: list[Message]
    tokens: int
    tools: frozenset[str]


def estimate_tokens(content: Any) -> int:
    """Tokens of JSON-able content: a quarter of its bytes, rounded up. Needs no tokenizer and no network."""
    return -(-len(orjson.dumps(content)) // 4)


def make_example(record: Record) -> Example | None:
    """The record's last turn, from the last user message to the answer and a result for each of its calls.

    What the agent looked up in between stays in, because the answer's arguments may come from there. The
    result of the final calls is a neutral one: the log does not hold it. None without a user message.
    """
    last_user = next((n for n in reversed(range(len(record.messages))) if _is_user(record.messages[n])), None)
    if last_user is None:
        return None
    answer: Message = {"role": "assistant", "content": record.content}
    if record.calls:
        answer["tool_calls"] = openai_calls(record.calls)
    results: list[Message] = [
        {"role": "tool", "tool_call_id": call["id"], "content": NEUTRAL_RESULT}
        for call in answer.get("tool_calls", [])
    ]
    turns = [*map_arguments(record.messages[last_user:], as_text), answer, *results]
    turns = _renumbered(turns, LONGEST_NUMBER)
    return Example(turns, estimate_tokens(turns), frozenset(call.name for call in record.calls))


def _is_user(message: Message) -> bool:
    return bool(message["role"] == "user")


class ExamplePool:
    """Training records to show, by label.

    :param candidates: for each label the row numbers of training records, in the order in which to try them.
    :param read: gives the record of a row.
    """

    def __init__(self, candidates: Mapping[str, Sequence[int]], read: Callable[[int], Record]) -> None:
        self._candidates = {label: list(rows[:POOL_SIZE]) for label, rows in candidates.items() if rows}
        self._labels = sorted(self._candidates)
        self._cursor = 0
        self._next: Counter[str] = Counter()
        self._example = lru_cache(maxsize=CACHED_EXAMPLES)(lambda row: make_example(read(row)))
        self.shown: Counter[str] = Counter()
        self.did_not_fit = 0

    @property
    def labels(self) -> list[str]:
        """The labels that the training records have."""
        return list(self._labels)

    def choose(self, request: Mapping[str, Any], config: IclConfig) -> list[list[Message]]:
        """Examples for one request: labels take turns over the items, so that each is shown equally often.

        Only tools that the request offers are shown, and only what fits the context beside it. Empty when
        fewer than `min_examples` do.
        """
        room = config.max_context_length - config.reserved_tokens - estimate_tokens(request)
        offered = {tool["function"]["name"] for tool in request.get("tools", ())}
        chosen: list[tuple[str, int, Example]] = []
        for label in self._turns(config.max_examples):
            if len(chosen) == config.max_examples:
                break
            found = self._fitting(label, room, offered, {row for _, row, _ in chosen})
            if found is not None:
                chosen.append((label, *found))
                room -= found[1].tokens
        if len(chosen) < config.min_examples:
            return []
        self.shown.update(label for label, _, _ in chosen)
        return [_renumbered(example.turns, n) for n, (_, _, example) in enumerate(chosen, start=1)]

    def _turns(self, max_examples: int) -> Iterator[str]:
        """Labels in the order of their turns, each `max_examples` times; the next item goes on after them."""
        start = self._cursor
        self._cursor = (start + max_examples) % max(len(self._labels), 1)
        for n in range(len(self._labels) * max_examples):
            yield self._labels[(start + n) % len(self._labels)]

    def _fitting(
        self, label: str, room: int, offered: set[str], used: set[int]
    ) -> tuple[int, Example] | None:
        rows = self._candidates[label]
        first = self._next[label]
        for n in range(min(TRIES, len(rows))):
            row = rows[(first + n) % len(rows)]
            example = self._example(row)
            if row in used or example is None or not example.tools <= offered:
                continue
            if example.tokens > room:
                self.did_not_fit += 1
                continue
            self._next[label] = (first + n + 1) % len(rows)
            return row, example
        return None


def icl_report(counts: Sequence[int], pool: ExamplePool) -> IclReport:
    """What the items carry, given the number of examples in each. Raises IclImpossible when none has any."""
    if not any(counts):
        raise IclImpossible(
            f"none of the {len(counts)} items of the holdout can carry an example ({pool.did_not_fit} "
            "were too long): raise icl.max_context_length, lower icl.reserved_tokens, or leave the icl "
            "stage out (icl: null)"
        )
    return IclReport(
        min=min(counts),
        median=median(counts),
        max=max(counts),
        labels=dict(sorted(pool.shown.items())),
        labels_missing=[label for label in pool.labels if not pool.shown[label]],
        items_without_examples=sum(1 for count in counts if not count),
        did_not_fit=pool.did_not_fit,
    )


def _renumbered(turns: list[Message], number: int) -> list[Message]:
    """The turns with call ids of their own, so that no two examples and no item share one."""
    names: dict[Any, str] = {}

    def renamed(call_id: Any) -> str:
        return names.setdefault(call_id, f"example_{number}_{len(names) + 1}")

    changed = []
    for turn in turns:
        message = dict(turn)
        if "tool_calls" in turn:
            message["tool_calls"] = [{**call, "id": renamed(call.get("id"))} for call in turn["tool_calls"]]
        if "tool_call_id" in turn:
            message["tool_call_id"] = renamed(turn["tool_call_id"])
        changed.append(message)
    return changed

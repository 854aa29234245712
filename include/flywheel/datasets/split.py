"""Which records evaluate, which validate and which train: drawn by whole conversations, seeded."""

from __future__ import annotations

import hashlib
from enum import IntEnum, StrEnum
from functools import partial

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from include.flywheel.datasets.deduplicate import Requests
from include.flywheel.datasets.draw import Chooser, Chosen, Conversations, Ints, drawn, newest
from include.flywheel.errors import NotEnoughRecords

Parts = NDArray[np.int8]
"""The `Part` of each row."""


class SplitConfig(BaseModel):
    """The contract's `data_split_config`. A partial object overrides its own keys alone."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    eval_size: int = Field(default=100, ge=1, description="Items of the holdout, exactly.")
    val_ratio: float = Field(
        default=0.1, ge=0, lt=1, description="Share of what is left after the holdout that validates."
    )
    min_total_records: int = Field(
        default=50, ge=1, description="Usable records below which the run is refused."
    )
    random_seed: int | None = Field(
        default=None, ge=0, description="Seed of the split and of the examples; null: the run's own seed."
    )
    limit: int | None = Field(
        default=1000, ge=1, description="The newest raw records that are read; null: all of them."
    )
    parse_function_arguments: bool = Field(
        default=True, description="Tool-call arguments become objects; false leaves them as they were logged."
    )


class Strategy(StrEnum):
    """How conversations are chosen for the holdout and for validation."""

    STRATIFIED = "stratified"
    """At random by the seed, so that each label has its share."""
    TEMPORAL = "temporal"
    """The newest evaluate, the next newest validate, the oldest train."""


class Part(IntEnum):
    """Where a row went."""

    TRAIN = 0
    VAL = 1
    EVAL = 2
    HELD_OUT = 3
    DISLIKED = 4
    """Would have trained, and users disliked its answer. No split gives it; feedback does, later."""


def split(
    requests: Requests, config: SplitConfig, seed: int, strategy: Strategy = Strategy.STRATIFIED
) -> Parts:
    """The part of each row, by seed and content alone: the order of reading does not matter.

    Evaluation gets exactly `eval_size` rows, drawn by whole conversations (and, where stratified, by label as
    far as these allow); the last conversation is trimmed, its other rows are held out. Validation gets up to
    `val_ratio` of the rest, by whole conversations too. At least one conversation trains.
    Raises NotEnoughRecords when that is impossible.
    """
    conversations = _grouped(requests, seed, strategy)
    _refuse_too_few(conversations, config)
    choose = newest if strategy is Strategy.TEMPORAL else _stratified(len(requests.label_names))
    parts: Parts = np.full(len(requests), Part.TRAIN, dtype=np.int8)
    held_out = _hold_out(conversations, config.eval_size, choose, parts)
    rest = conversations.only(~held_out)
    for conversation in _validating(rest, config.val_ratio, choose):
        parts[rest.rows_of(conversation)] = Part.VAL
    return parts


def _stratified(label_count: int) -> Chooser:
    return partial(drawn, label_count=label_count)


def _grouped(requests: Requests, seed: int, strategy: Strategy) -> Conversations:
    """Conversations in the order in which they are taken: seeded, or newest first."""
    _, of_row = np.unique(requests.conversations, return_inverse=True)
    keys = np.unique(requests.conversations)
    seeded = _mixed(keys, seed)
    if strategy is Strategy.TEMPORAL:
        last = np.zeros(len(keys), dtype=np.int64)
        np.maximum.at(last, of_row, requests.times_ms)
        order = np.lexsort((seeded, -last))
    else:
        order = np.argsort(seeded, kind="stable")
    place = np.empty(len(keys), dtype=np.int64)
    place[order] = np.arange(len(keys))
    # The rows come in the order of their digests, which settles ties of time.
    rows = np.lexsort((requests.times_ms, place[of_row]))
    starts = np.concatenate(([0], np.cumsum(np.bincount(place[of_row], minlength=len(keys)))))
    return Conversations(rows.astype(np.int64), requests.labels[rows], starts.astype(np.int64))


def _mixed(keys: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Each conversation's place in the seeded order: SplitMix64's finalizer over key and seed."""
    salt = hashlib.blake2b(seed.to_bytes(64, "big", signed=True), digest_size=8).digest()
    mixed = keys ^ np.uint64(int.from_bytes(salt, "big"))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


def largest_eval_size(sizes: Ints) -> int:
    """The largest holdout that leaves one conversation for training, given the conversations' sizes."""
    return int(sizes.sum() - sizes.min()) if len(sizes) else 0


def _refuse_too_few(conversations: Conversations, config: SplitConfig) -> None:
    usable, sizes = len(conversations.rows), conversations.sizes
    largest = largest_eval_size(sizes)
    works = f"the largest eval_size that would work is {largest}" if largest else "no eval_size would work"
    if usable < config.min_total_records:
        raise NotEnoughRecords(
            f"{usable} usable records are {config.min_total_records - usable} fewer than min_total_records "
            f"{config.min_total_records}: collect more, or lower min_total_records ({works} with these)"
        )
    if len(conversations) == 1:
        raise NotEnoughRecords(
            f"all {usable} usable records are of one conversation, and a holdout by whole conversations "
            "needs two at least: check that `session_id` differs between conversations"
        )
    if config.eval_size > largest:
        missing = config.eval_size - largest
        raise NotEnoughRecords(
            f"eval_size {config.eval_size} leaves no conversation for training: {usable} usable records in "
            f"{len(conversations)} conversations are {missing} too few; {works}"
        )


def _hold_out(
    conversations: Conversations, eval_size: int, choose: Chooser, parts: Parts
) -> NDArray[np.bool_]:
    """Mark the holdout in `parts`; returns which conversations it took."""
    taken = _take_holdout(conversations, eval_size, choose)
    held_out = np.zeros(len(conversations), dtype=np.bool_)
    held_out[taken.conversations] = True
    for conversation in taken.conversations:
        parts[conversations.rows_of(conversation)] = Part.EVAL
    if taken.trimmed is not None:
        rows = conversations.rows_of(taken.conversations[-1])
        parts[rows] = Part.HELD_OUT
        parts[rows[taken.trimmed]] = Part.EVAL
    return held_out


def _take_holdout(conversations: Conversations, eval_size: int, choose: Chooser) -> Chosen:
    taken = choose(conversations, eval_size, overshoot=True)
    if len(taken.conversations) < len(conversations):
        return taken
    # Nothing was left to train on: choose again without the smallest conversation.
    smallest = int(np.argmin(conversations.sizes))
    keep = np.arange(len(conversations)) != smallest
    taken = choose(conversations.only(keep), eval_size, overshoot=True)
    numbers = np.flatnonzero(keep)
    return Chosen([int(numbers[conversation]) for conversation in taken.conversations], taken.trimmed)


def _validating(rest: Conversations, val_ratio: float, choose: Chooser) -> list[int]:
    """Conversations that validate: up to the ratio, and at least one where that leaves half to train."""
    total, sizes = len(rest.rows), rest.sizes
    size = min(int(val_ratio * total + 0.5), total - int(sizes.min()))
    if size <= 0:
        return []
    taken = choose(rest, size, overshoot=False).conversations
    smallest = int(np.argmin(sizes))
    if not taken and 2 * int(sizes[smallest]) <= total:
        return [smallest]
    return taken

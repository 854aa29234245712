"""Which records evaluate, which validate and which train: drawn by whole conversations, seeded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from include.flywheel.datasets.deduplicate import RequestTable
from include.flywheel.datasets.draw import Conversations, Draw, Ints, trim
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


class Part(IntEnum):
    """Where a row went."""

    TRAIN = 0
    VAL = 1
    EVAL = 2
    HELD_OUT = 3


def split(table: RequestTable, config: SplitConfig, seed: int) -> Parts:
    """The part of each row of `table`, by seed and content alone: the order of reading does not matter.

    Evaluation gets exactly `eval_size` rows, drawn by whole conversations and stratified by label as far as
    these allow; the last conversation is trimmed, its other rows are held out. Validation gets up to
    `val_ratio` of the rest, by whole conversations too. At least one conversation trains.
    Raises NotEnoughRecords when that is impossible.
    """
    conversations, label_count = _grouped(table, seed)
    _refuse_too_few(conversations, config)
    parts: Parts = np.full(len(table), Part.TRAIN, dtype=np.int8)
    held_out = _hold_out(conversations, config.eval_size, label_count, parts)
    rest = conversations.only(~held_out)
    for conversation in _validating(rest, config.val_ratio, label_count):
        parts[rest.rows_of(conversation)] = Part.VAL
    return parts


def _grouped(table: RequestTable, seed: int) -> tuple[Conversations, int]:
    names = table.label_names
    rank_of_label = np.argsort(np.argsort(np.array(names, dtype=object)))
    labels = rank_of_label[np.array(table.labels, dtype=np.int64)]
    order = np.array([_seeded(key, seed) for key in table.conversation_keys], dtype=np.uint64)
    of_row = order[np.array(table.conversations, dtype=np.int64)]
    digests = np.array([int.from_bytes(digest[:8], "big") for digest in table.digests], dtype=np.uint64)
    rows = np.lexsort((digests, np.array(table.times_ms, dtype=np.int64), of_row))
    new = np.flatnonzero(np.diff(of_row[rows])) + 1
    starts = np.concatenate(([0], new, [len(rows)] if len(rows) else [])).astype(np.int64)
    return Conversations(rows.astype(np.int64), labels[rows].astype(np.int64), starts), len(names)


def _seeded(key: bytes, seed: int) -> int:
    """A conversation's place in the seeded order, 64 bits."""
    digest = hashlib.blake2b(key, digest_size=8, key=seed.to_bytes(64, "big", signed=True)).digest()
    return int.from_bytes(digest, "big")


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
    conversations: Conversations, eval_size: int, label_count: int, parts: Parts
) -> NDArray[np.bool_]:
    """Mark the holdout in `parts`; returns which conversations it took."""
    drawn = _draw_holdout(conversations, eval_size, label_count)
    held_out = np.zeros(len(conversations), dtype=np.bool_)
    held_out[drawn.conversations] = True
    for conversation in drawn.conversations:
        parts[conversations.rows_of(conversation)] = Part.EVAL
    if drawn.trimmed is not None:
        rows = conversations.rows_of(drawn.conversations[-1])
        parts[rows] = Part.HELD_OUT
        parts[rows[drawn.trimmed]] = Part.EVAL
    return held_out


@dataclass(frozen=True, slots=True)
class _Holdout:
    conversations: list[int]
    trimmed: list[int] | None


def _draw_holdout(conversations: Conversations, eval_size: int, label_count: int) -> _Holdout:
    drawn = _drawn(conversations, eval_size, label_count)
    if len(drawn.conversations) < len(conversations):
        return drawn
    # Nothing was left to train on: draw again without the smallest conversation.
    smallest = int(np.argmin(conversations.sizes))
    keep = np.arange(len(conversations)) != smallest
    drawn = _drawn(conversations.only(keep), eval_size, label_count)
    numbers = np.flatnonzero(keep)
    return _Holdout([int(numbers[conversation]) for conversation in drawn.conversations], drawn.trimmed)


def _drawn(conversations: Conversations, eval_size: int, label_count: int) -> _Holdout:
    draw = Draw(conversations, eval_size, label_count, overshoot=True)
    chosen = draw.run()
    if not draw.wanted:
        return _Holdout(chosen, None)
    return _Holdout(chosen, trim(conversations.labels_of(chosen[-1]), draw.needs, draw.wanted))


def _validating(rest: Conversations, val_ratio: float, label_count: int) -> list[int]:
    """Conversations that validate: up to the ratio, and at least one where that leaves half to train."""
    total, sizes = len(rest.rows), rest.sizes
    size = min(int(val_ratio * total + 0.5), total - int(sizes.min()))
    if size <= 0:
        return []
    chosen = Draw(rest, size, label_count, overshoot=False).run()
    smallest = int(np.argmin(sizes))
    if not chosen and 2 * int(sizes[smallest]) <= total:
        return [smallest]
    return chosen

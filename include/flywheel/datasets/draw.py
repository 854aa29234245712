"""Drawing whole conversations at random until a number of records is reached, label by label.

A conversation that was drawn is taken whole. Conversations come in a seeded order; the label that lacks most
draws next, and takes of its next few conversations the one that overshoots the other labels least.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

LOOK_AHEAD = 16
"""Conversations of a label that are compared before one is drawn."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Conversations:
    """Rows grouped by conversation, conversations in their seeded order.

    :param rows: row numbers, the rows of a conversation side by side, oldest first.
    :param labels: the label of each entry of `rows`.
    :param starts: where each conversation begins in `rows`; one more entry holds the end.
    """

    rows: Ints
    labels: Ints
    starts: Ints

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def sizes(self) -> Ints:
        """Records of each conversation."""
        return np.diff(self.starts)

    def rows_of(self, conversation: int) -> Ints:
        """The rows of a conversation, oldest first."""
        return self.rows[self.starts[conversation] : self.starts[conversation + 1]]

    def labels_of(self, conversation: int) -> Ints:
        """The labels of these rows."""
        return self.labels[self.starts[conversation] : self.starts[conversation + 1]]

    def only(self, keep: NDArray[np.bool_]) -> Conversations:
        """The conversations where `keep` is true, in the same order."""
        chosen = np.repeat(keep, self.sizes)
        return Conversations(
            self.rows[chosen], self.labels[chosen], np.concatenate(([0], np.cumsum(self.sizes[keep])))
        )


@dataclass(frozen=True, slots=True)
class Chosen:
    """Conversations in the order of choosing; `trimmed` are the positions that count in the last one."""

    conversations: list[int]
    trimmed: list[int] | None


class Chooser(Protocol):
    """A way to choose conversations that hold `size` records.

    :param overshoot: whether the last conversation may be larger than what is still wanted; it is trimmed.
    """

    def __call__(self, conversations: Conversations, size: int, *, overshoot: bool) -> Chosen: ...


def newest(conversations: Conversations, size: int, *, overshoot: bool) -> Chosen:
    """The first conversations (the newest, where these come first); of the last one its newest rows."""
    ends = np.cumsum(conversations.sizes)
    whole = int(np.searchsorted(ends, size, side="right"))
    chosen = list(range(whole))
    missing = size - (int(ends[whole - 1]) if whole else 0)
    if not overshoot or not missing or whole == len(conversations):
        return Chosen(chosen, None)
    length = int(conversations.sizes[whole])
    return Chosen([*chosen, whole], list(range(length - missing, length)))


def drawn(conversations: Conversations, size: int, *, overshoot: bool, label_count: int) -> Chosen:
    """Conversations drawn label by label."""
    draw = Draw(conversations, size, label_count, overshoot=overshoot)
    chosen = draw.run()
    if not overshoot or not draw.wanted:
        return Chosen(chosen, None)
    return Chosen(chosen, trim(conversations.labels_of(chosen[-1]), draw.needs, draw.wanted))


def targets(labels: Ints, size: int, label_count: int) -> Ints:
    """`size` shared out over the labels in proportion to their records, by largest remainders."""
    counts = np.bincount(labels, minlength=label_count)
    exact = counts * (size / max(len(labels), 1))
    whole: Ints = np.floor(exact).astype(np.int64)
    by_remainder = np.lexsort((np.arange(label_count), -(exact - whole)))
    whole[by_remainder[: size - int(whole.sum())]] += 1
    return whole


class Draw:
    """One drawing of `size` records; `needs` is what each label lacks, negative when it has too many.

    :param overshoot: whether a conversation larger than what is still wanted may be drawn (and is then the
        last); without it such conversations are passed over.
    """

    def __init__(self, conversations: Conversations, size: int, label_count: int, *, overshoot: bool) -> None:
        self._conversations = conversations
        self._sizes = conversations.sizes
        self._overshoot = overshoot
        self._taken = np.zeros(len(conversations), dtype=np.bool_)
        self._queues = _queues(conversations, label_count)
        self._heads = [0] * label_count
        self.wanted = size
        self.needs = targets(conversations.labels, size, label_count)

    def run(self) -> list[int]:
        """Conversations drawn, in the order of drawing."""
        drawn: list[int] = []
        while self.wanted > 0:
            conversation = self._next()
            if conversation is None:
                break
            drawn.append(conversation)
            self._taken[conversation] = True
            size = int(self._sizes[conversation])
            if size > self.wanted:
                break
            self.wanted -= size
            for label in self._conversations.labels_of(conversation).tolist():
                self.needs[label] -= 1
        return drawn

    def _next(self) -> int | None:
        label = int(np.argmax(self.needs)) if len(self.needs) else 0
        found = self._best(label) if len(self.needs) and self.needs[label] > 0 else None
        if found is not None:
            return found
        for label in np.argsort(-self.needs, kind="stable").tolist():
            if self.needs[label] <= 0:
                break
            found = self._best(label)
            if found is not None:
                return found
        return self._any()

    def _best(self, label: int) -> int | None:
        """Of the label's next conversations that may be drawn, the one with the least excess."""
        queue = self._queues[label]
        head = self._heads[label]
        while head < len(queue) and self._taken[queue[head]]:
            head += 1
        self._heads[label] = head
        best, least = None, 2.0
        for conversation in queue[head : head + LOOK_AHEAD].tolist():
            if not self._may_take(conversation):
                continue
            excess = self._excess(conversation)
            if excess < least:
                best, least = conversation, excess
            if excess == 0:
                break
        return best

    def _may_take(self, conversation: int) -> bool:
        return not self._taken[conversation] and bool(
            self._overshoot or self._sizes[conversation] <= self.wanted
        )

    def _excess(self, conversation: int) -> float:
        """Share of the conversation's records that no label lacks."""
        labels = self._conversations.labels_of(conversation).tolist()
        if len(labels) == 1:
            return 0.0 if self.needs[labels[0]] > 0 else 1.0
        useful = sum(min(count, max(int(self.needs[label]), 0)) for label, count in Counter(labels).items())
        return 1.0 - useful / len(labels)

    def _any(self) -> int | None:
        """The next conversation that may be drawn at all, whatever its labels."""
        allowed = ~self._taken
        if not self._overshoot:
            allowed &= self._sizes <= self.wanted
        first = int(np.argmax(allowed)) if len(allowed) else 0
        return first if len(allowed) and allowed[first] else None


def trim(labels: Ints, needs: Ints, wanted: int) -> list[int]:
    """Positions of `wanted` records of a conversation: first where the label lacks some, then the oldest."""
    needs = needs.copy()
    chosen: set[int] = set()
    for position, label in enumerate(labels.tolist()):
        if needs[label] > 0 and len(chosen) < wanted:
            needs[label] -= 1
            chosen.add(position)
    rest = [position for position in range(len(labels)) if position not in chosen]
    return sorted([*chosen, *rest[: wanted - len(chosen)]])


def _queues(conversations: Conversations, label_count: int) -> Sequence[Ints]:
    """For each label the conversations that hold it, in seeded order."""
    owner = np.repeat(np.arange(len(conversations)), conversations.sizes)
    pairs = np.unique(conversations.labels * max(len(conversations), 1) + owner)
    label, conversation = np.divmod(pairs, max(len(conversations), 1))
    bounds = np.searchsorted(label, np.arange(label_count + 1))
    return [conversation[bounds[k] : bounds[k + 1]] for k in range(label_count)]

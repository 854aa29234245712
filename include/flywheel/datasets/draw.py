"""Drawing whole conversations at random until a number of records is reached, label by label.

A conversation that was drawn is taken whole. Conversations come in a seeded order; the label that lacks most
draws next, and takes of its next few conversations the one that overshoots the other labels least.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
            np.subtract.at(self.needs, self._conversations.labels_of(conversation), 1)
        return drawn

    def _next(self) -> int | None:
        for label in np.argsort(-self.needs, kind="stable").tolist():
            if self.needs[label] <= 0:
                break
            candidates = self._candidates(label)
            if candidates:
                return min(candidates, key=self._excess)
        return self._any()

    def _candidates(self, label: int) -> list[int]:
        """The label's next conversations that may be drawn, in seeded order."""
        queue = self._queues[label]
        while self._heads[label] < len(queue) and self._taken[queue[self._heads[label]]]:
            self._heads[label] += 1
        ahead = queue[self._heads[label] : self._heads[label] + LOOK_AHEAD].tolist()
        return [conversation for conversation in ahead if self._may_take(conversation)]

    def _may_take(self, conversation: int) -> bool:
        return not self._taken[conversation] and bool(
            self._overshoot or self._sizes[conversation] <= self.wanted
        )

    def _excess(self, conversation: int) -> float:
        """Share of the conversation's records that no label lacks."""
        labels, counts = np.unique(self._conversations.labels_of(conversation), return_counts=True)
        useful = np.minimum(counts, np.maximum(self.needs[labels], 0)).sum()
        return 1.0 - float(useful) / float(counts.sum())

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

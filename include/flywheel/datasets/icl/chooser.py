"""Chooses the in-context examples of each request of the holdout."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from include.flywheel.datasets.arguments import Message
from include.flywheel.datasets.icl.config import ExampleSelection, IclConfig
from include.flywheel.datasets.icl.pool import Candidate, ExamplePool, Form
from include.flywheel.datasets.icl.report import IclReport, IclTally, NotShown
from include.flywheel.datasets.icl.tokens import request_tokens

VARIETY = 4
"""So many of the longest examples of a label that fit take turns over the items."""


@dataclass(slots=True)
class _Item:
    """The choice for one request while it is made. `rank` is empty without similarity; lower is more like."""

    room: int
    places: int
    allowed: Mapping[str, Sequence[int]]
    rank: Mapping[int, int]
    chosen: dict[int, Form] = field(default_factory=dict)
    too_long: set[int] = field(default_factory=set)

    @property
    def share(self) -> int:
        """Tokens of the room left for each place left."""
        return self.room // (self.places - len(self.chosen))

    def take(self, index: int, form: Form) -> None:
        self.chosen[index] = form
        self.room -= form.tokens


class ExampleChooser:
    """Chooses examples for the items of one file; one chooser for each context length, over a shared pool.

    Each place of an item gets the longest example that leaves the other places their share of the room; where
    none is so short, the shortest one that fits at all. `uniform_distribution` gives the places to the labels
    that were shown least so far, of these the rarest first. `semantic_similarity` gives the first places to
    what is most like the last turns of the item, and the others to labels that the item does not show yet,
    in the same order of need. Nothing depends on chance; ties go to the lower digest.
    """

    def __init__(self, pool: ExamplePool, config: IclConfig) -> None:
        self._pool = pool
        self._config = config
        self._tally = IclTally(config)
        self._times: Counter[int] = Counter()
        self._offered_tools: set[str] = set()
        self._offered_labels: set[str] = set()
        self._too_long_labels: set[str] = set()

    def choose(self, request: Mapping[str, Any]) -> list[list[Message]]:
        """Examples for one request `{messages, tools?}`, the most like ones last, next to the question.

        Only tools that the request offers are shown, and only what fits the context beside the request and
        the tokens reserved for the answer, by the estimate. Empty when fewer than `min_examples` fit.
        """
        offered = frozenset(tool["function"]["name"] for tool in request.get("tools") or ())
        allowed = self._pool.allowed(offered)
        self._offered_tools |= offered
        self._offered_labels |= allowed.keys()
        room = self._config.max_context_length - self._config.reserved_tokens - request_tokens(request)
        item = _Item(room, self._config.max_examples, allowed, self._rank(request))
        self._choose_alike(item)
        alike = len(item.chosen)
        self._choose_covering(item)
        order = [*list(item.chosen)[alike:], *reversed(list(item.chosen)[:alike])]
        return self._commit(item, room, order)

    def _commit(self, item: _Item, room: int, order: list[int]) -> list[list[Message]]:
        dropped = 0 < len(order) < self._config.min_examples
        if dropped:
            order = []
        shown = [self._pool.candidates[index] for index in order]
        self._times.update(order)
        self._tally.add(
            (one.label for one in shown),
            (tool for one in shown for tool in one.tools),
            used=sum(item.chosen[index].tokens for index in order),
            room=room,
            too_long=len(item.too_long),
            dropped=dropped,
        )
        return [self._pool.turns(index, item.chosen[index], n) for n, index in enumerate(order, start=1)]

    def _rank(self, request: Mapping[str, Any]) -> Mapping[int, int]:
        """Candidates that are at all like the request, the most like first."""
        if self._config.example_selection is ExampleSelection.UNIFORM:
            return {}
        scores = self._pool.scores(request["messages"])
        digests = [one.digest for one in self._pool.candidates]
        alike = sorted(np.flatnonzero(scores > 0).tolist(), key=lambda n: (-scores[n], digests[n]))
        return {index: rank for rank, index in enumerate(alike)}

    def _choose_alike(self, item: _Item) -> None:
        allowed = {index for found in item.allowed.values() for index in found}
        for index in item.rank:
            if len(item.chosen) == self._config.relevant_places:
                return
            if index in allowed:
                form = _fitting(self._pool.candidates[index], item)
                if form is None:
                    item.too_long.add(index)
                else:
                    item.take(index, form)

    def _choose_covering(self, item: _Item) -> None:
        """The places left go to labels: least shown in the item, then over the items, then the rarest."""
        in_item = Counter(self._pool.candidates[index].label for index in item.chosen)
        due = [
            (in_item[label], self._tally.shown[label], self._pool.labels[label], label)
            for label in item.allowed
        ]
        heapq.heapify(due)
        while due and len(item.chosen) < item.places:
            times, shown, rows, label = heapq.heappop(due)
            found = self._best(label, item)
            if found is not None:
                item.take(*found)
                heapq.heappush(due, (times + 1, shown, rows, label))

    def _best(self, label: str, item: _Item) -> tuple[int, Form] | None:
        """The candidate of a label for the next place: the most like one, or one of the longest that fit."""
        unused = [index for index in item.allowed[label] if index not in item.chosen]
        fitting = [
            (index, form)
            for index in unused
            if (form := _fitting(self._pool.candidates[index], item)) is not None
        ]
        if not fitting:
            item.too_long.update(unused)
            if unused:
                self._too_long_labels.add(label)
            return None
        in_share = [found for found in fitting if found[1].tokens <= item.share]
        if not in_share:
            return min(fitting, key=lambda found: found[1].tokens)
        if item.rank:
            last = len(item.rank)
            return min(in_share, key=lambda found: item.rank.get(found[0], last))
        longest = sorted(in_share, key=lambda found: -found[1].tokens)[:VARIETY]
        return min(longest, key=lambda found: self._times[found[0]])

    def report(self) -> IclReport:
        """What the items carry. Raises IclImpossible when not one carries an example."""
        usable = {one.label for one in self._pool.candidates}
        not_shown: dict[str, NotShown] = {}
        for label in [*self._pool.labels, *self._offered_tools]:
            if not self._tally.shown[label] and label not in self._tally.tools_shown:
                not_shown[label] = self._reason(label, usable)
        return self._tally.report(not_shown)

    def _reason(self, label: str, usable: set[str]) -> NotShown:
        if not self._pool.labels.get(label):
            return NotShown.NO_RECORD
        if label not in usable:
            return NotShown.NO_EXAMPLE
        if label not in self._offered_labels:
            return NotShown.NOT_OFFERED
        return NotShown.TOO_LONG if label in self._too_long_labels else NotShown.NO_PLACE


def _fitting(candidate: Candidate, item: _Item) -> Form | None:
    """The longest form within the item's share; else the shortest, if it fits the room."""
    form = candidate.fitting(item.share)
    if form is None and candidate.forms[0].tokens <= item.room:
        form = candidate.forms[0]
    return form

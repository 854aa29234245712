"""The training records that serve as in-context examples: a bounded number, known by a few figures each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from include.flywheel.datasets.arguments import Message
from include.flywheel.datasets.icl.examples import example_turns, last_told, starts, tools_in
from include.flywheel.datasets.icl.similarity import Similarity, TfidfSimilarity
from include.flywheel.datasets.icl.tokens import message_tokens
from include.flywheel.datasets.records import Record

POOL_SIZE = 64
"""Training records of a label that serve as examples."""

POOL_RECORDS = 2048
"""Records of the whole pool, at most; one a label where there are more labels."""

CACHED_RECORDS = 256

LONGEST_NUMBER = 99
"""An example is measured under a number with as many digits as its place in a request may have."""


@dataclass(frozen=True, slots=True)
class Form:
    """An example of a record: the message at which it begins, and how long it is in estimated tokens."""

    start: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A training record that can be shown.

    :param tools: that its turns call; it is shown only where all of them are offered.
    :param forms: of the example, the shortest first.
    """

    row: int
    label: str
    digest: bytes
    tools: frozenset[str]
    forms: tuple[Form, ...]

    def fitting(self, tokens: int) -> Form | None:
        """The longest form of at most so many tokens."""
        return next((form for form in reversed(self.forms) if form.tokens <= tokens), None)


class ExamplePool:
    """Training records to show, by label. Shared by the choosers of several context lengths.

    Each record of the pool is read once now, and again when it is shown. The order of the rows of a label
    does not matter where all of them have room in the pool.

    :param rows: for each label its training rows, the first ones preferred; none for a label that the
        training set lacks.
    :param read: gives the record of a row.
    :param likeness: makes the similarity of the texts of the pool.
    """

    def __init__(
        self,
        rows: Mapping[str, Sequence[int]],
        read: Callable[[int], Record],
        likeness: Callable[[Sequence[str]], Similarity] = TfidfSimilarity,
    ) -> None:
        size = max(1, min(POOL_SIZE, POOL_RECORDS // max(1, len(rows))))
        self._read = lru_cache(maxsize=CACHED_RECORDS)(read)
        self._likeness = likeness
        self.labels: Mapping[str, int] = {label: len(found) for label, found in sorted(rows.items())}
        """Training rows by label, as they were given."""
        found = (self._candidate(label, row) for label, given in rows.items() for row in given[:size])
        self.candidates: Sequence[Candidate] = sorted(
            (candidate for candidate in found if candidate is not None),
            key=lambda one: (one.label, one.digest),
        )
        self.allowed = lru_cache(maxsize=CACHED_RECORDS)(self._allowed)

    def _candidate(self, label: str, row: int) -> Candidate | None:
        record = self._read(row)
        forms, tools = [], frozenset[str]()
        for start in starts(record):
            turns = example_turns(record, start, LONGEST_NUMBER)
            forms.append(Form(start, message_tokens(turns)))
            tools = tools_in(turns)
        return Candidate(row, label, record.digest, tools, tuple(forms)) if forms else None

    def _allowed(self, offered: frozenset[str]) -> Mapping[str, Sequence[int]]:
        """By label the candidates (their indices) whose tools are all among the offered ones."""
        allowed: dict[str, list[int]] = {}
        for index, candidate in enumerate(self.candidates):
            if candidate.tools <= offered:
                allowed.setdefault(candidate.label, []).append(index)
        return allowed

    def scores(self, messages: Sequence[Message]) -> NDArray[np.float64]:
        """How like each candidate's last turns are to those of the messages, 0 to 1."""
        return self._similarity.scores(last_told(list(messages)))

    def expect(self, requests: Iterable[Sequence[Message]]) -> None:
        """Let the similarity look at once at the messages of all that will be asked."""
        self._similarity.expect(last_told(list(messages)) for messages in requests)

    @cached_property
    def _similarity(self) -> Similarity:
        return self._likeness([last_told(self._read(one.row).messages) for one in self.candidates])

    def turns(self, index: int, form: Form, number: int) -> list[Message]:
        """The messages of an example that is number `number` of its request."""
        return example_turns(self._read(self.candidates[index].row), form.start, number)

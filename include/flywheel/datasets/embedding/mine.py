"""Hard negatives of a query: documents that look right, and by all that the log knows are not."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from include.flywheel.datasets.embedding.bm25 import Bm25
from include.flywheel.datasets.embedding.config import TripletConfig
from include.flywheel.datasets.embedding.gather import Traffic

NEIGHBOURS = 10
"""Queries like one that are looked at for what they retrieved."""

_LOOKED_AT = 50

Ints = NDArray[np.int64]


class Source(StrEnum):
    """Where a negative comes from, the hardest first."""

    OWN = "retrieved for the query and not used"
    NEIGHBOUR = "retrieved for queries like it and not used"
    ALIKE = "shares words with the query"
    SAMPLE = "drawn by the seed"


@dataclass(slots=True)
class Miner:
    """Finds negatives for the queries that train or validate; looks at no record of another set.

    :param groups: for each query its group of near-identical queries.
    :param visible: the queries whose records may be looked at, ascending: those of the same set.
    :param query_text: the text of a query.
    """

    traffic: Traffic
    groups: Ints
    visible: Ints
    documents: Bm25
    query_text: Callable[[int], str]
    config: TripletConfig
    seed: int
    tally: Counter[Source] = field(default_factory=Counter)
    _queries: Bm25 = field(init=False)
    _members: dict[int, list[int]] = field(init=False)

    def __post_init__(self) -> None:
        self._queries = Bm25(map(self.query_text, self.visible.tolist()))
        self._members = {}
        for query in self.visible.tolist():
            self._members.setdefault(int(self.groups[query]), []).append(query)

    def negatives(self, query: int) -> list[int]:
        """At most `config.negatives` documents, the hardest first.

        Never one that the query or a near-identical one used, nor the same document under its name or in
        nearly the same words.
        """
        positives = self._positives(query)
        chosen: list[int] = []
        for source, document in self._candidates(query, positives):
            if len(chosen) == self.config.negatives:
                break
            if document not in chosen and not self._is_positive(document, positives):
                chosen.append(document)
                self.tally[source] += 1
        return chosen

    def _positives(self, query: int) -> frozenset[int]:
        """What the query or a near-identical one used."""
        group = self._members.get(int(self.groups[query]), [query])
        return frozenset(int(one) for member in (query, *group) for one in self.traffic.used[member])

    def _candidates(self, query: int, positives: frozenset[int]) -> Iterator[tuple[Source, int]]:
        text, traffic = self.query_text(query), self.traffic
        group = self._members.get(int(self.groups[query]), [query])
        scores = self.documents.scores(text)
        own = _union([traffic.unused[member] for member in (query, *group)])
        yield from ((Source.OWN, one) for one in _ranked(own, scores))
        like = self.visible[self._queries.best(text, NEIGHBOURS + len(group))]
        like = like[self.groups[like] != self.groups[query]][:NEIGHBOURS]
        # What served a query like it may serve this one.
        doubtful = positives | {int(one) for other in like.tolist() for one in traffic.used[other]}
        theirs = _union([traffic.unused[other] for other in like.tolist()])
        sources = ((Source.NEIGHBOUR, _ranked(theirs, scores)), (Source.ALIKE, self._alike(text)))
        for source, found in sources:
            yield from ((source, one) for one in found if one not in doubtful)
        yield from ((Source.SAMPLE, one) for one in self._sample(query) if one not in doubtful)

    def _alike(self, text: str) -> list[int]:
        found: list[int] = self.documents.best(text, _LOOKED_AT + self.config.negatives).tolist()
        return found

    def _sample(self, query: int) -> list[int]:
        key = self.seed.to_bytes(64, "big", signed=True)
        state = hashlib.blake2b(self.traffic.queries[query], digest_size=8, key=key).digest()
        draw = np.random.default_rng(int.from_bytes(state, "big"))
        drawn: list[int] = draw.integers(len(self.documents), size=_LOOKED_AT).tolist()
        return drawn

    def _is_positive(self, document: int, positives: frozenset[int]) -> bool:
        if document in positives:
            return True
        names, words = self.traffic.names[document], self.documents.words(document)
        for positive in positives:
            if names & self.traffic.names[positive]:
                return True
            others = self.documents.words(positive)
            shared = len(np.intersect1d(words, others, assume_unique=True))
            together = len(words) + len(others) - shared
            if together and shared >= self.config.same_document * together:
                return True
        return False


def _union(found: list[Ints]) -> Ints:
    return np.unique(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)


def _ranked(documents: Ints, scores: NDArray[np.float64]) -> list[int]:
    """The best first; ties in the order of their digests."""
    ranked: list[int] = documents[np.lexsort((documents, -scores[documents]))].tolist()
    return ranked

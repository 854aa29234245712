"""BM25: how well documents answer a query by the words that both hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from include.flywheel.datasets.embedding.terms import terms

K1, B = 1.2, 0.75
"""Robertson & Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009)."""

_DECIMALS = 6


class Bm25:
    """The words of texts, and which texts are most like another. Memory holds one number a word and text."""

    def __init__(self, texts: Iterable[str]) -> None:
        # Imported here: scipy takes a third of a second, and only this needs it.
        from scipy.sparse import csr_matrix  # noqa: PLC0415

        self._numbers: dict[str, int] = {}
        columns, bounds = [], [0]
        for text in texts:
            columns.append(np.array([self._number(word) for word in terms(text)], dtype=np.int32))
            bounds.append(bounds[-1] + len(columns[-1]))
        flat = np.concatenate(columns) if columns else np.zeros(0, dtype=np.int32)
        shape = (len(columns), max(1, len(self._numbers)))
        # `float32` sums of small counts are exact.
        counts: Any = csr_matrix((np.ones(len(flat), dtype=np.float32), flat, bounds), shape=shape)
        counts.sum_duplicates()
        self._weights = self._weighted(counts)
        self._by_word = self._weights.T.tocsr()

    def __len__(self) -> int:
        return int(self._weights.shape[0])

    def _number(self, word: str) -> int:
        return self._numbers.setdefault(word, len(self._numbers))

    def _weighted(self, counts: Any) -> Any:
        lengths = np.asarray(counts.sum(axis=1)).ravel()
        mean = max(float(lengths.mean()), 1.0) if len(lengths) else 1.0
        holding = np.bincount(counts.indices, minlength=counts.shape[1])
        rarity = np.log1p((counts.shape[0] - holding + 0.5) / (holding + 0.5))
        row = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
        damped = counts.data + K1 * (1 - B + B * lengths[row] / mean)
        weighted = counts.copy()
        weighted.data = counts.data * (K1 + 1) / damped * rarity[counts.indices]
        return weighted

    def words(self, number: int) -> NDArray[np.int32]:
        """The different words of a text, by number, ascending."""
        found: NDArray[np.int32] = np.unique(
            self._weights.indices[self._weights.indptr[number] : self._weights.indptr[number + 1]]
        )
        return found

    def scores(self, query: str) -> NDArray[np.float64]:
        """The score of each text. Rounded, so that equal texts score equally."""
        wanted = sorted({self._numbers[word] for word in terms(query) if word in self._numbers})
        total = np.zeros(len(self))
        for word in wanted:
            start, end = self._by_word.indptr[word : word + 2]
            total[self._by_word.indices[start:end]] += self._by_word.data[start:end]
        rounded: NDArray[np.float64] = np.round(total, _DECIMALS)
        return rounded

    def best(self, query: str, count: int) -> NDArray[np.int64]:
        """At most `count` texts that share a word with the query, the best first; ties in their order."""
        scores = self.scores(query)
        found = np.flatnonzero(scores > 0)
        if len(found) > count:
            least = np.partition(scores[found], len(found) - count)[len(found) - count]
            found = found[scores[found] >= least]
        best: NDArray[np.int64] = found[np.lexsort((found, -scores[found]))][:count]
        return best

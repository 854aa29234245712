"""How like texts are to a query."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

MAX_TERMS = 1 << 16

# Words; one ideograph, kana or syllable each, for these scripts put no space between words.
TERMS = r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"


class Similarity(Protocol):
    """A set of texts that can be asked which of them are like another."""

    def expect(self, queries: Iterable[str]) -> None:
        """Told what will be asked, so that it may look at all of it at once."""

    def scores(self, query: str) -> NDArray[np.float64]:
        """Likeness of each text to the query, 0 (none) to 1 (the same), in the order of the texts."""


class TfidfSimilarity:
    """Cosine of the texts' term frequencies, rare terms weighing more. Needs no network and no model.

    :param texts: at most some thousands; the 65,536 most frequent terms are kept.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        # Imported here: scikit-learn takes a second, and only this needs it.
        from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415

        self._size = len(texts)
        self._vectorizer = TfidfVectorizer(token_pattern=TERMS, sublinear_tf=True, max_features=MAX_TERMS)
        try:
            self._terms = self._vectorizer.fit_transform(texts)
        except ValueError:  # not one term in all the texts
            self._terms = None

    def expect(self, queries: Iterable[str]) -> None:
        """See Similarity.expect. Nothing is to be done."""

    def scores(self, query: str) -> NDArray[np.float64]:
        """See Similarity.scores. Rounded, so that equal texts score equally."""
        if self._terms is None:
            return np.zeros(self._size)
        likeness = (self._terms @ self._vectorizer.transform([query]).T).toarray()[:, 0]
        return np.asarray(np.round(likeness, 9), np.float64)

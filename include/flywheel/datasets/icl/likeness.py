"""By what an example is called like an item: words in common, or the vectors of an embedding model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from include.flywheel.datasets.icl.similarity import Similarity, TfidfSimilarity
from include.flywheel.errors import DataError

Embed = Callable[[Sequence[str], Literal["query", "passage"]], Sequence[Sequence[float]]]
"""One vector for each text, in their order. Raises LikenessUnavailable."""

LOCAL_NAME = "words in common (TF-IDF), without a model"
_DECIMALS = 6


class LikenessUnavailable(DataError):
    """The embedding model does not answer as it should: the local method takes its place."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """A way to measure likeness.

    :param name: what a run says that it used.
    :param make: the similarity of the texts of a pool.
    :param note: why it is not the way that was configured; None where it is.
    """

    name: str
    make: Callable[[Sequence[str]], Similarity]
    note: str | None = None


def local(note: str | None = None) -> Likeness:
    """The way that needs no model. `note`: why it takes the place of another."""
    return Likeness(LOCAL_NAME, TfidfSimilarity, note)


def by_embeddings(model: str, embed: Embed, batch_size: int) -> Likeness:
    """By the cosine of the model's vectors; `batch_size` texts are asked for at once."""
    return Likeness(f"embeddings of {model}", lambda texts: EmbeddingSimilarity(texts, embed, batch_size))


class EmbeddingSimilarity:
    """Cosine of vectors: the texts as passages, what is asked as queries.

    Raises LikenessUnavailable, here and in `expect`, where the model gives no such vectors.
    """

    def __init__(self, texts: Sequence[str], embed: Embed, batch_size: int) -> None:
        self._embed, self._batch_size = embed, batch_size
        self._length: int | None = None
        self._queries: dict[bytes, NDArray[np.float32]] = {}
        parts = [self._vectors(part, "passage") for part in _batches(texts, batch_size)]
        width = self._length or 1
        # Batches of empty texts alone may come before the length of a vector is known.
        whole = [
            part if part.shape[1] == width else np.zeros((len(part), width), np.float32) for part in parts
        ]
        self._texts: NDArray[np.float32] = (
            np.concatenate(whole) if whole else np.zeros((0, width), np.float32)
        )

    def expect(self, queries: Iterable[str]) -> None:
        """Ask for the vectors of what will be asked for, in batches; what is known is not asked again."""
        for part in _batches(queries, self._batch_size):
            new = [query for query in dict.fromkeys(part) if _key(query) not in self._queries]
            for query, vector in zip(new, self._vectors(new, "query"), strict=True):
                self._queries[_key(query)] = vector

    def scores(self, query: str) -> NDArray[np.float64]:
        """See Similarity.scores. Rounded, so that equal texts score equally."""
        self.expect([query])
        vector = self._queries[_key(query)]
        if len(vector) != self._texts.shape[1]:
            return np.zeros(len(self._texts))
        cosine: NDArray[np.float32] = self._texts @ vector
        return np.asarray(np.round(np.clip(cosine, 0, 1), _DECIMALS), np.float64)

    def _vectors(self, texts: Sequence[str], input_type: Literal["query", "passage"]) -> NDArray[np.float32]:
        """One row of length 1 a text; zeros for an empty one, which no model is asked for."""
        asked = [place for place, text in enumerate(texts) if text.strip()]
        found = self._embed([texts[place] for place in asked], input_type) if asked else []
        lengths = {len(vector) for vector in found} | ({self._length} if self._length else set())
        if len(found) != len(asked) or len(lengths) > 1 or 0 in lengths:
            raise LikenessUnavailable(
                f"the embedding model gave {len(found)} vectors for {len(asked)} texts, of lengths "
                f"{sorted(lengths)}"
            )
        self._length = next(iter(lengths), None)
        rows = np.zeros((len(texts), self._length or 1), np.float32)
        if asked:
            rows[asked] = np.asarray(found, np.float32)
        if not np.isfinite(rows).all():
            raise LikenessUnavailable("the embedding model gave vectors that are not numbers")
        unit: NDArray[np.float32] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        return unit


def _batches(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    remaining = iter(texts)
    while batch := list(islice(remaining, size)):
        yield batch


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()

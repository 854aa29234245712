"""Answers kept with the moments that they answered, and found again by likeness (cosine of TF-IDF)."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from include.nemo_local.engine.capacity import Capacity
from include.nemo_local.engine.text import code, content_words
from include.nemo_local.engine.view import View

_MOST_RECALLED = 20


def said_codes(text: str, capacity: Capacity) -> list[int]:
    """Distinct codes of the newest content words, and of neighbours where the model reads pairs; sorted."""
    found = content_words(text)[-capacity.words_read :]
    names = set(found)
    if capacity.word_pairs:
        names.update(f"{a} {b}" for a, b in pairwise(found))
    return sorted(code(name) for name in names)


def moment_codes(view: View) -> list[int]:
    """What the user said last, and which call, if any, was made since: distinct codes, sorted."""
    codes = said_codes(view.conversation.last("user"), view.capacity)
    if view.newest and view.newest.role == "tool":
        codes = sorted({*codes, code(f"after {view.newest.tool}")})
    return codes


class Memory:
    """Pairs of a moment (distinct codes) and the text that answered it. Never changed once made."""

    def __init__(self, pairs: Sequence[tuple[list[int], str]] = ()) -> None:
        """`pairs` without codes are kept, but never found."""
        self.pairs = list(pairs)
        codes = np.array([code for codes, _ in self.pairs for code in codes], dtype=np.int64)
        self._owners = np.repeat(np.arange(len(self.pairs)), [len(codes) for codes, _ in self.pairs])
        self._known, self._places, counts = np.unique(codes, return_inverse=True, return_counts=True)
        self._rarity = np.log((1 + len(self.pairs)) / (1 + counts)) + 1.0
        self._unmet = float(np.log(1 + len(self.pairs))) + 1.0
        squares = np.bincount(self._owners, self._rarity[self._places] ** 2, len(self.pairs))
        self._norms = np.sqrt(np.maximum(squares, 1e-12))

    def __bool__(self) -> bool:
        return bool(self.pairs)

    def likeness(self, codes: Sequence[int]) -> np.ndarray:
        """Cosines of a moment with all that are kept, 0 to 1, shape (pairs,)."""
        asked = np.array(codes, dtype=np.int64)
        met = np.isin(self._known, asked, assume_unique=True)
        here = np.where(met, self._rarity, 0.0)
        shared = np.bincount(self._owners, (here * self._rarity)[self._places], len(self.pairs))
        squares = float((here**2).sum()) + self._unmet**2 * (len(asked) - int(met.sum()))
        return np.asarray(shared / (self._norms * max(squares, 1e-12) ** 0.5))

    def recall(self, codes: Sequence[int], least: float) -> Iterator[str]:
        """Texts of the moments that are at least that alike, the likest first, the first of equals first."""
        if not self.pairs or not codes:
            return
        found = self.likeness(codes)
        for position in np.argsort(-found, kind="stable")[:_MOST_RECALLED]:
            if found[position] < least:
                return
            yield self.pairs[position][1]

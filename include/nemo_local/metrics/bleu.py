"""BLEU (Papineni et al. 2002) of a row and of all rows, 0 to 100, as sacreBLEU (Post 2018) computes it.

Words are split by the rules of mteval-v13a; n-grams of 1 to 4 words are clipped by the references. An order
without a match gets half the precision of the one before (the smoothing `exp`), and a row shorter than
4 words is judged by the orders that it has.
"""

from __future__ import annotations

import html
import math
import re
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from include.nemo_local.metrics.base import RowMetric, context_of
from include.nemo_local.templates import render_text

ORDERS = 4
_SYMBOL = re.compile(r"([!-&(-+/:-@\[-`{-~])")
_MARK_AFTER_OTHER = re.compile(r"([^0-9])([.,])")
_MARK_BEFORE_OTHER = re.compile(r"([.,])([^0-9])")
_DASH_AFTER_DIGIT = re.compile(r"([0-9])(-)")


@dataclass
class Counts:
    """Sums over sentences; ``matched`` and ``total`` by order, lengths in words."""

    matched: list[int] = field(default_factory=lambda: [0] * ORDERS)
    total: list[int] = field(default_factory=lambda: [0] * ORDERS)
    length: int = 0
    reference_length: int = 0

    def add(self, other: Counts) -> None:
        self.matched = [one + more for one, more in zip(self.matched, other.matched, strict=True)]
        self.total = [one + more for one, more in zip(self.total, other.total, strict=True)]
        self.length += other.length
        self.reference_length += other.reference_length


class Bleu(RowMetric):
    """Each row's own score is ``sentence``; ``corpus`` is that of all rows together."""

    score_names = ("sentence",)

    def __init__(self, references: list[str], candidate: str) -> None:
        self._references, self._candidate = references, candidate
        self._lock = threading.Lock()
        self._corpus = Counts()

    def score(self, item: dict[str, Any], sample: dict[str, Any]) -> dict[str, float]:
        context = context_of(item, sample)
        references = [render_text(reference, context) for reference in self._references]
        counts = counts_of(render_text(self._candidate, context), references)
        with self._lock:
            self._corpus.add(counts)
        return {"sentence": bleu(counts, orders=max(1, min(ORDERS, counts.length)))}

    def overall(self) -> dict[str, float]:
        return {"corpus": bleu(self._corpus)}


def bleu(counts: Counts, orders: int = ORDERS) -> float:
    """The score, 0 to 100, of n-grams up to ``orders`` words."""
    if not any(counts.matched):
        return 0.0
    logarithms, smoothing = 0.0, 1.0
    for matched, total in zip(counts.matched[:orders], counts.total[:orders], strict=True):
        if total == 0:
            return 0.0
        if matched == 0:
            smoothing *= 2
        logarithms += math.log(matched / total if matched else 1 / (smoothing * total))
    brevity = min(0.0, 1 - counts.reference_length / counts.length)
    return 100 * math.exp(brevity + logarithms / orders)


def counts_of(candidate: str, references: Sequence[str]) -> Counts:
    """Of one sentence; its reference length is that of the reference nearest in length."""
    words, split = tokens(candidate), [tokens(reference) for reference in references]
    counts = Counts(length=len(words))
    counts.reference_length = min(
        (len(other) for other in split), key=lambda length: (abs(length - len(words)), length)
    )
    for order in range(1, ORDERS + 1):
        found = _grams(words, order)
        allowed: Counter[tuple[str, ...]] = Counter()
        for other in split:
            allowed |= _grams(other, order)
        counts.matched[order - 1] = (found & allowed).total()
        counts.total[order - 1] = found.total()
    return counts


def tokens(text: str) -> list[str]:
    """Words and marks by the rules of mteval-v13a."""
    spaced = f" {html.unescape(text.replace(chr(10), ' '))} "
    spaced = _SYMBOL.sub(r" \1 ", spaced)
    spaced = _MARK_AFTER_OTHER.sub(r"\1 \2 ", spaced)
    spaced = _MARK_BEFORE_OTHER.sub(r" \1 \2", spaced)
    return _DASH_AFTER_DIGIT.sub(r"\1 \2 ", spaced).split()


def _grams(words: Sequence[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[start : start + order]) for start in range(len(words) - order + 1))

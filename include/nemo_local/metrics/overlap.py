"""Similarity of two texts by the words that they share: exact match, F1, ROUGE."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Any

from include.nemo_local.metrics.base import RowMetric, context_of
from include.nemo_local.templates import render_text

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_WORD = re.compile(r"\w+")


class _Overlap(RowMetric):
    """Compares the rendered ground truth with the rendered candidate."""

    def __init__(self, ground_truth: str, candidate: str) -> None:
        self._ground_truth, self._candidate = ground_truth, candidate

    def _texts(self, item: dict[str, Any], sample: dict[str, Any]) -> tuple[str, str]:
        context = context_of(item, sample)
        return render_text(self._ground_truth, context), render_text(self._candidate, context)


class ExactMatch(_Overlap):
    """1 when the texts are equal after the normalisation of SQuAD."""

    score_names = ("em_score",)

    def score(self, item: dict[str, Any], sample: dict[str, Any]) -> dict[str, float]:
        reference, candidate = self._texts(item, sample)
        return {"em_score": float(normalised(reference) == normalised(candidate))}


class F1(_Overlap):
    """F1 of the words, as multisets, after the normalisation of SQuAD."""

    score_names = ("f1_score",)

    def score(self, item: dict[str, Any], sample: dict[str, Any]) -> dict[str, float]:
        reference, candidate = (normalised(text).split() for text in self._texts(item, sample))
        if not reference or not candidate:
            return {"f1_score": float(reference == candidate)}
        return {"f1_score": f_measure(_shared(reference, candidate), len(reference), len(candidate))}


class Rouge(_Overlap):
    """F-measures of ROUGE-1, -2, -3 and -L (Lin 2004), on lower-cased words without stemming."""

    score_names = ("rouge_1_score", "rouge_2_score", "rouge_3_score", "rouge_L_score")

    def score(self, item: dict[str, Any], sample: dict[str, Any]) -> dict[str, float]:
        reference, candidate = (_WORD.findall(text.lower()) for text in self._texts(item, sample))
        scores = {f"rouge_{size}_score": rouge_n(reference, candidate, size) for size in (1, 2, 3)}
        return scores | {"rouge_L_score": rouge_l(reference, candidate)}


def normalised(text: str) -> str:
    """Lower case, without punctuation and English articles, single spaces (Rajpurkar et al. 2016)."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def rouge_n(reference: Sequence[str], candidate: Sequence[str], size: int) -> float:
    """F-measure of the shared n-grams of that size."""
    grams = [
        [tuple(words[start : start + size]) for start in range(len(words) - size + 1)]
        for words in (reference, candidate)
    ]
    return f_measure(_shared(*grams), len(grams[0]), len(grams[1]))


def rouge_l(reference: Sequence[str], candidate: Sequence[str]) -> float:
    """F-measure of the longest common subsequence."""
    return f_measure(common_subsequence(reference, candidate), len(reference), len(candidate))


def common_subsequence(left: Sequence[str], right: Sequence[str]) -> int:
    """Length of the longest common subsequence.

    Bit-parallel (Hyyrö 2004): a row of the dynamic programme is one integer, so that long texts stay cheap.
    """
    places: dict[str, int] = {}
    for position, word in enumerate(left):
        places[word] = places.get(word, 0) | 1 << position
    full = (1 << len(left)) - 1
    row = full
    for word in right:
        match = row & places.get(word, 0)
        row = ((row + match) | (row - match)) & full
    return len(left) - row.bit_count()


def f_measure(shared: int, reference: int, candidate: int) -> float:
    """Harmonic mean of ``shared / reference`` and ``shared / candidate``; 0 when nothing is shared."""
    return 2 * shared / (reference + candidate) if shared else 0.0


def _shared(reference: Sequence[Any], candidate: Sequence[Any]) -> int:
    return (Counter(reference) & Counter(candidate)).total()

"""Two linear models over hashed features, both fitted by Adagrad (Duchi et al., JMLR 12, 2011) on log loss.

`Chooser` picks one of a few classes (multinomial logistic regression); `Ranker` picks one of a list of
candidates (conditional logit, McFadden 1974), starting from each candidate's prior. Both are deterministic.
"""

import math
from collections.abc import Sequence

import numpy as np

from include.nemo_local.engine.text import mix

_EPSILON = 1e-6
_START = 1.0
_WORDS_SHARE = 4.0
Rows = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Sparse rows: indices and values of all rows end to end, and where each row begins."""


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities along the last axis."""
    shifted = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def join(rows: Sequence[tuple[np.ndarray, np.ndarray]]) -> Rows:
    """Rows of indices and values end to end; none may be empty."""
    lengths = np.array([len(indices) for indices, _ in rows], dtype=np.int64)
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    return (
        np.concatenate([indices for indices, _ in rows]),
        np.concatenate([values for _, values in rows]),
        starts,
    )


class Chooser:
    """Class scores of a row: the sum over its features of value times weight."""

    def __init__(self, features: int, classes: int) -> None:
        self.weights = np.zeros((features, classes), dtype=np.float64)
        self._squares = np.full((features, classes), _EPSILON)

    def scores(self, rows: Rows) -> np.ndarray:
        """Logits, shape (rows, classes)."""
        indices, values, starts = rows
        return np.asarray(np.add.reduceat(self.weights[indices] * values[:, None], starts, axis=0))

    def learn(self, rows: Rows, labels: np.ndarray, rate: float, decay: float) -> float:
        """One step on a batch; returns its mean log loss before the step.

        `decay` pulls touched weights to 0.
        """
        indices, values, starts = rows
        lengths = np.diff(np.append(starts, len(indices)))
        chances = softmax(self.scores(rows))
        picked = chances[np.arange(len(labels)), labels]
        chances[np.arange(len(labels)), labels] -= 1.0
        slopes = chances / len(labels)
        touched, inverse = np.unique(indices, return_inverse=True)
        sums = np.zeros((len(touched), self.weights.shape[1]))
        np.add.at(sums, inverse, np.repeat(slopes, lengths, axis=0) * values[:, None])
        sums += decay * self.weights[touched]
        self._squares[touched] += sums**2
        self.weights[touched] -= rate * sums / np.sqrt(self._squares[touched])
        return float(-np.log(np.maximum(picked, 1e-12)).mean())


class Ranker:
    """Scores of candidates: prior plus weights of their features, alone, by argument name and by argument."""

    def __init__(self, features: int) -> None:
        self.weights = np.zeros(features, dtype=np.float64)
        self._squares = np.full(features, _START)

    def rows(self, candidates: Sequence[tuple[Sequence[int], Sequence[int]]], salts: Sequence[int]) -> Rows:
        """Rows of candidates, each given by its codes and its words; the indices have shape (salts, features).

        A code has the value 1. The words of a candidate share the Euclidean norm `_WORDS_SHARE`, so that a
        long text does not drown where a value stands.
        """
        flat = np.array([code for each in candidates for codes in each for code in codes], dtype=np.uint64)
        values = [
            np.concatenate((np.ones(len(codes)), np.full(len(said), _WORDS_SHARE / math.sqrt(len(said) or 1))))
            for codes, said in candidates
        ]
        size = np.uint64(len(self.weights))
        indices = np.stack([mix(flat, salt) % size for salt in salts]).astype(np.int64)
        starts = np.concatenate(([0], np.cumsum([len(each) for each in values])[:-1])).astype(np.int64)
        return indices, np.concatenate(values), starts

    def scores(self, rows: Rows, priors: np.ndarray) -> np.ndarray:
        """Scores, one for each candidate."""
        indices, values, starts = rows
        return np.asarray(priors + np.add.reduceat(self.weights[indices].sum(axis=0) * values, starts))

    def learn(self, rows: Rows, priors: np.ndarray, answer: int, rate: float) -> float:
        """One step on one list; returns its log loss before the step."""
        indices, values, starts = rows
        chances = softmax(self.scores(rows, priors))
        loss = -float(np.log(max(chances[answer], 1e-12)))
        chances[answer] -= 1.0
        lengths = np.diff(np.append(starts, indices.shape[1]))
        slopes = np.tile(np.repeat(chances, lengths) * values, len(indices))
        flat = indices.ravel()
        np.add.at(self._squares, flat, slopes**2)
        np.add.at(self.weights, flat, -rate * slopes / np.sqrt(self._squares[flat]))
        return loss

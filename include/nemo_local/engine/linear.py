"""Two linear models over hashed features, both fitted by Adagrad (Duchi et al., JMLR 12, 2011) on log loss.

`Chooser` picks one of a few classes (multinomial logistic regression); `Ranker` picks one of a list of
candidates (conditional logit, McFadden 1974), starting from each candidate's prior. Both are deterministic.
"""

from collections.abc import Sequence

import numpy as np

from include.nemo_local.engine.text import mix

# What squared slopes begin with: without it the first step of a weight is a whole one however small its
# slope, and features met once (names, amounts) would outweigh those that tell.
_CHOOSER_START = 1e-4
CAREFUL = 0.3
_WORDS_SHARE = 2.0
Marks = tuple[Sequence[int], Sequence[tuple[int, float]]]
"""What tells a candidate from the others: codes, and words with their values."""
Rows = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Sparse rows: indices and values of all rows end to end, and where each row begins."""
Features = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Features of a list of candidates, in any order: indices, values, and which candidate has each."""


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
        self._squares = np.full((features, classes), _CHOOSER_START)

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

    def __init__(self, features: int, start: float = CAREFUL) -> None:
        """`start`: what a weight's squared slopes begin with. The larger it is, the less a feature that was
        met once or twice is trusted.
        """
        self.weights = np.zeros(features, dtype=np.float64)
        self._squares = np.full(features, start)

    def rows(self, candidates: Sequence[Marks], salts: Sequence[int]) -> Features:
        """Features of candidates.

        A code is crossed with every salt and has the value 1, a word is crossed with the last salt only.
        """
        codes = np.array([code for own, _ in candidates for code in own], dtype=np.uint64)
        words = np.array([word for _, said in candidates for word, _ in said], dtype=np.uint64)
        values = _WORDS_SHARE * np.array([value for _, said in candidates for _, value in said])
        owners = np.arange(len(candidates))
        of_codes = np.tile(np.repeat(owners, [len(own) for own, _ in candidates]), len(salts))
        of_words = np.repeat(owners, [len(said) for _, said in candidates])
        crossed = [*(mix(codes, salt) for salt in salts), mix(words, salts[-1])]
        return (
            (np.concatenate(crossed) % np.uint64(len(self.weights))).astype(np.int64),
            np.concatenate((np.ones(len(of_codes)), values)),
            np.concatenate((of_codes, of_words)),
        )

    def scores(self, rows: Features, priors: np.ndarray) -> np.ndarray:
        """Scores, one for each candidate."""
        indices, values, owners = rows
        learnt = np.bincount(owners, self.weights[indices] * values, len(priors))
        return np.asarray(priors + learnt)

    def learn(self, rows: Features, priors: np.ndarray, answer: int, rate: float) -> float:
        """One step on one list; returns its log loss before the step."""
        indices, values, owners = rows
        chances = softmax(self.scores(rows, priors))
        loss = -float(np.log(max(chances[answer], 1e-12)))
        chances[answer] -= 1.0
        slopes = chances[owners] * values
        np.add.at(self._squares, indices, slopes**2)
        np.add.at(self.weights, indices, -rate * slopes / np.sqrt(self._squares[indices]))
        return loss

"""Customization of an embedding model: a question moves towards its passage and away from the others.

Rows are `{"query", "pos_doc", "neg_doc": [...]}`. The loss of a question is the log loss of its passage
among all passages of the batch, by cosine (InfoNCE; van den Oord et al., arXiv:1807.03748, 2018). What is
learnt is a linear map of the base's vectors, all of it, from the identity.
"""

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from include.nemo_local.engine.embedding import Embedder, embed
from include.nemo_local.engine.embedding_weights import EmbeddingWeights
from include.nemo_local.engine.errors import NoTrainingRows, TrainingCancelled
from include.nemo_local.engine.hyperparameters import EpochReport, Hyperparameters
from include.nemo_local.engine.linear import softmax

MAX_ROWS = 20_000
_MOST_NEGATIVES = 8
_VALIDATION_ROWS = 2000
_TEMPERATURE = 0.1
_RATE = 4.0
_DECAY = 1e-4
_ORDINARY_LEARNING_RATE = 1e-4
_NEGLIGIBLE = 1e-4

Sparse = tuple[np.ndarray, np.ndarray]
"""Places and values of a vector that are not zero."""


@dataclass(slots=True)
class Triplet:
    """A question, its passage, and passages that do not answer it; each text by its number."""

    query: int
    passages: list[int]


class Texts:
    """Vectors of the base, one for each different text and way of reading it, without their zeros."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._numbers: dict[tuple[str, str], int] = {}
        self._vectors: list[Sparse] = []
        self.width = embedder.dimensions

    def number(self, text: str, input_type: Any) -> int:
        """The number of a text; equal texts have one."""
        key = (text, input_type)
        if key not in self._numbers:
            vector = embed(text, self._embedder, input_type)
            places = np.flatnonzero(vector)
            self._numbers[key] = len(self._vectors)
            self._vectors.append((places, vector[places].astype(np.float32)))
        return self._numbers[key]

    def shrink(self) -> np.ndarray:
        """Keeps the places where any of them is not zero, which are returned, ascending."""
        met = np.zeros(self._embedder.dimensions, dtype=bool)
        for places, _ in self._vectors:
            met[places] = True
        kept = np.flatnonzero(met)
        self._vectors = [(np.searchsorted(kept, places), values) for places, values in self._vectors]
        self.width = len(kept)
        return kept

    def matrix(self, numbers: Sequence[int]) -> np.ndarray:
        """Their vectors, shape (texts, width)."""
        rows = np.zeros((len(numbers), self.width), dtype=np.float32)
        for row, number in zip(rows, numbers, strict=True):
            places, values = self._vectors[number]
            row[places] = values
        return rows


def fit_embedder(
    train_rows: Iterable[Mapping[str, Any]],
    val_rows: Iterable[Mapping[str, Any]],
    embedder: Embedder,
    hyperparameters: Hyperparameters,
    on_epoch: Callable[[EpochReport], bool],
) -> EmbeddingWeights:
    """Fits weights on rows `{"query", "pos_doc", "neg_doc": [...]}`; other rows are counted and left out.

    `on_epoch` is told of every epoch and returns whether to go on. Raises NoTrainingRows where no row can be
    used, TrainingCancelled where `on_epoch` returned False. Equal input gives equal weights.
    """
    texts = Texts(embedder)
    train, skipped = _triplets(train_rows, texts, MAX_ROWS)
    if not train:
        raise NoTrainingRows(
            "the training file has no usable row: each must have `query` and `pos_doc` as texts, and "
            "`neg_doc` as a list of texts"
        )
    validation, _ = _triplets(val_rows, texts, _VALIDATION_ROWS)
    places = texts.shrink()
    model = _Map(texts)
    losses = _train(model, train, validation, hyperparameters, on_epoch)
    facts = {
        "rows": len(train),
        "skipped_rows": skipped,
        "validation_rows": len(validation),
        "hyperparameters": asdict(hyperparameters),
        "losses": losses,
    }
    model.change[np.abs(model.change) < _NEGLIGIBLE] = 0.0
    return EmbeddingWeights(places, model.change, facts)


class _Map:
    """The map while it is learnt: on the places that the texts have, since on others there is no slope."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self.change = np.zeros((texts.width, texts.width), dtype=np.float32)

    def loss(self, batch: Sequence[Triplet], rate: float | None = None) -> float:
        """The batch's mean loss; with `rate` the map then takes a step against it."""
        passages = list(dict.fromkeys(number for triplet in batch for number in triplet.passages))
        where = {number: place for place, number in enumerate(passages)}
        right = np.array([where[triplet.passages[0]] for triplet in batch])
        given = [self._texts.matrix([triplet.query for triplet in batch]), self._texts.matrix(passages)]
        moved = [each + each @ self.change.T for each in given]
        norms = [np.linalg.norm(each, axis=1, keepdims=True) + 1e-9 for each in moved]
        queries, documents = (each / norm for each, norm in zip(moved, norms, strict=True))
        chances = softmax(queries @ documents.T / _TEMPERATURE)
        picked = chances[np.arange(len(batch)), right]
        if rate is not None:
            chances[np.arange(len(batch)), right] -= 1.0
            slopes = chances / len(batch)
            pulls = (slopes @ documents, slopes.T @ queries)
            step = np.zeros_like(self.change)
            for pull, unit, norm, each in zip(pulls, (queries, documents), norms, given, strict=True):
                across = (pull - np.sum(pull * unit, axis=1, keepdims=True) * unit) / norm
                step += across.T @ each
            self.change -= np.float32(rate) * (step + np.float32(_DECAY) * self.change)
        return float(-np.log(np.maximum(picked, 1e-9)).mean())


def _train(
    model: _Map,
    train: list[Triplet],
    validation: list[Triplet],
    hyperparameters: Hyperparameters,
    on_epoch: Callable[[EpochReport], bool],
) -> list[list[float | None]]:
    size, epochs = hyperparameters.batch_size, hyperparameters.epochs
    steps = math.ceil(len(train) / size)
    # Steps grow with the square root of the learning rate, which spans orders of magnitude.
    rate = _RATE * math.sqrt(min(hyperparameters.learning_rate / _ORDINARY_LEARNING_RATE, 100.0))
    shuffler, order = random.Random(hyperparameters.seed), list(train)
    losses: list[list[float | None]] = []
    for epoch in range(1, epochs + 1):
        shuffler.shuffle(order)
        train_loss = _mean([(batch, model.loss(batch, rate)) for batch in _batches(order, size)])
        val_loss = None
        if validation:
            val_loss = _mean([(batch, model.loss(batch)) for batch in _batches(validation, size)])
        losses.append([round(train_loss, 6), None if val_loss is None else round(val_loss, 6)])
        if not on_epoch(EpochReport(epoch, epochs, epoch * steps, steps, train_loss, val_loss)):
            raise TrainingCancelled(f"the training was cancelled after epoch {epoch} of {epochs}")
    return losses


def _batches(triplets: list[Triplet], size: int) -> Iterable[list[Triplet]]:
    return (triplets[start : start + size] for start in range(0, len(triplets), size))


def _mean(losses: list[tuple[list[Triplet], float]]) -> float:
    """Of the rows, not of the batches."""
    return sum(len(batch) * loss for batch, loss in losses) / sum(len(batch) for batch, _ in losses)


def _triplets(rows: Iterable[Mapping[str, Any]], texts: Texts, most: int) -> tuple[list[Triplet], int]:
    """The first `most` usable rows, and how many were not usable."""
    found: list[Triplet] = []
    skipped = 0
    for row in rows:
        query, positive, negatives = row.get("query"), row.get("pos_doc"), row.get("neg_doc") or []
        if not (_is_text(query) and _is_text(positive) and isinstance(negatives, list)) or not all(
            map(_is_text, negatives)
        ):
            skipped += 1
            continue
        if len(found) == most:
            break
        others = [text for text in negatives if text != positive][:_MOST_NEGATIVES]
        passages = [texts.number(text, "passage") for text in (positive, *others)]
        found.append(Triplet(texts.number(str(query), "query"), passages))
    return found, skipped


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())

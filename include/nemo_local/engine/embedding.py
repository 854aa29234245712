"""Embeddings: texts as directions in a space of hashed words and their spellings.

Nothing is learnt and nothing random: what two texts share decides how near they are. Bigger models see more
of a text: only words at first, then parts of words, then pairs of neighbours.
"""

import math
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import numpy as np

from include.nemo_local.engine.capacity import parameters_of
from include.nemo_local.engine.text import STOP_WORDS, code, words

InputType = Literal["query", "passage"]
_PART_CHARS = 4
_PART_SHARE, _PAIR_SHARE, _STOP_SHARE = 0.75, 0.5, 0.05
_SMALL_BILLION, _LARGE_BILLION = 0.6, 3.0
_NOTHING_SAID = "\0"


@dataclass(frozen=True, slots=True)
class Embedder:
    """What an embedding model of some size does.

    `dimensions`: length of its vectors; fewer may be asked for where `reducible`. `context_tokens`: longest
    text. `parts`: whether it sees parts of words. `pairs`: whether it sees neighbours.
    """

    dimensions: int
    context_tokens: int
    reducible: bool
    parts: bool
    pairs: bool


def is_embedding_model(model_name: str) -> bool:
    """Whether a model of that name embeds texts instead of answering them."""
    return "embed" in model_name.lower()


def embedder_of(model_name: str) -> Embedder:
    """The embedder of a model, from the size in its name; never fails."""
    billions = parameters_of(model_name)
    if billions < _SMALL_BILLION:
        return Embedder(1024, 512, reducible=False, parts=False, pairs=False)
    if billions < _LARGE_BILLION:
        return Embedder(2048, 8192, reducible=True, parts=True, pairs=False)
    return Embedder(4096, 512, reducible=False, parts=True, pairs=True)


@lru_cache(maxsize=65536)
def _parts(word: str) -> tuple[str, ...]:
    """Runs of four characters of a word with its ends marked; () for a word that is its own part."""
    marked = f"<{word}>"
    if word[0] == "#" or len(marked) <= _PART_CHARS:
        return ()
    return tuple(f"~{marked[n : n + _PART_CHARS]}" for n in range(len(marked) - _PART_CHARS + 1))


def _weights(text: str, embedder: Embedder, input_type: InputType) -> dict[str, float]:
    """Features with their weights.

    What a question repeats is said once; a passage is also about what it repeats, and its small words count
    a little.
    """
    found = words(text)
    counts = Counter(word for word in found if input_type == "passage" or word not in STOP_WORDS)
    told: dict[str, float] = {}
    for word, count in counts.items():
        often = 1.0 + math.log(count) if input_type == "passage" else 1.0
        weight = often * (_STOP_SHARE if word in STOP_WORDS else 1.0)
        told[word] = weight
        parts = _parts(word) if embedder.parts else ()
        for part in parts:
            told[part] = told.get(part, 0.0) + weight * _PART_SHARE / math.sqrt(len(parts))
    if embedder.pairs:
        content = [word for word in found if word not in STOP_WORDS]
        told.update({f"{a} {b}": _PAIR_SHARE for a, b in pairwise(content)})
    return told or {_NOTHING_SAID: 1.0}


def length_of(embedder: Embedder, dimensions: int | None) -> int:
    """How long a vector is to be. Raises ValueError for a length that the embedder does not have."""
    length = embedder.dimensions if dimensions is None else dimensions
    if length != embedder.dimensions and not (embedder.reducible and 1 <= length < embedder.dimensions):
        allowed = f"1 to {embedder.dimensions}" if embedder.reducible else f"{embedder.dimensions} only"
        raise ValueError(f"`dimensions` is {length}: this model has {allowed}")
    return length


def embed(text: str, embedder: Embedder, input_type: InputType, dimensions: int | None = None) -> np.ndarray:
    """The text's vector of Euclidean norm 1, shape (dimensions,).

    `dimensions`: fewer than the embedder's own. Raises ValueError where that cannot be.
    """
    length = length_of(embedder, dimensions)
    vector = np.zeros(length)
    for feature, weight in _weights(text, embedder, input_type).items():
        hashed = code(feature)
        # The highest bit is the sign: features that meet in one place then cancel as often as they add.
        vector[(hashed & 0x7FFFFFFF) % length] += weight if hashed >> 31 else -weight
    norm = float(np.linalg.norm(vector))
    if norm == 0.0:
        vector[code(text) % length] = norm = 1.0
    return np.asarray(vector / norm)

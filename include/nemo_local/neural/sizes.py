"""How big a decoder stands in for a model of some size, and the recipe of its pretraining."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

from include.nemo_local.engine.capacity import parameters_of

PRIMER_VERSION = 1
"""Raised with every change of the generic text or of the tokenizer: bases made before are made anew."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A decoder's shape and its training from scratch.

    `context_tokens`: prompt and answer together. It first learns to copy, in `warm_up_steps` of
    `warm_up_rows` random sequences each; then from `rows` generic conversations, in `steps` of `batch_rows`
    each. `learning_rate` is the highest of both.
    """

    hidden: int
    layers: int
    heads: int
    context_tokens: int
    vocabulary: int = 1024
    warm_up_steps: int = 700
    warm_up_rows: int = 64
    rows: int = 6000
    steps: int = 500
    batch_rows: int = 32
    learning_rate: float = 5e-3
    seed: int = 7

    def digest(self, *versions: str) -> str:
        """16 hexadecimal characters that name the base made by this recipe under these library versions."""
        told = json.dumps([PRIMER_VERSION, asdict(self), *versions], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()[:16]


SMALL = Recipe(hidden=64, layers=2, heads=4, context_tokens=384)
MIDDLE = Recipe(hidden=96, layers=3, heads=4, context_tokens=512)
LARGE = Recipe(hidden=128, layers=4, heads=4, context_tokens=640)


def recipe_of(model: str) -> Recipe:
    """The recipe for a model, by the parameters that its name tells: below 5, below 40 billion, or more."""
    billions = parameters_of(model)
    return SMALL if billions < 5 else MIDDLE if billions < 40 else LARGE

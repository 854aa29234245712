"""Base models: decoders trained from scratch on generic conversations, once, and kept on disk."""

from __future__ import annotations

import json
import logging
import random
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import tokenizers
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

from include.nemo_local.engine.errors import TrainingCancelled
from include.nemo_local.neural import primer
from include.nemo_local.neural.chat import Example, example_of
from include.nemo_local.neural.learning import Course, Trainer, drawing
from include.nemo_local.neural.sizes import Recipe
from include.nemo_local.neural.vocabulary import Control, Vocabulary

log = logging.getLogger(__name__)
_VOCABULARY_ROWS = 2000
_WAIT_SECONDS = 0.2
_WEIGHTS, _VOCABULARY, _FACTS = "model.safetensors", "vocabulary.json", "facts.json"


@dataclass(frozen=True)
class Base:
    """A trained decoder as it lies on disk; `model` builds one with the weights."""

    recipe: Recipe
    digest: str
    vocabulary: Vocabulary
    weights: Path

    @property
    def pad(self) -> int:
        return self.vocabulary.id_of(Control.PAD)

    def model(self) -> Any:
        """A model of the caller's own, in evaluation mode."""
        model = _new_model(self.recipe, len(self.vocabulary))
        model.load_state_dict(load_file(self.weights))
        return model.eval()


class Bases:
    """The bases below one folder, each made on first use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._making = threading.Lock()
        self._ready: dict[Recipe, Base] = {}

    def get(self, recipe: Recipe, stop_wanted: Callable[[], bool] = lambda: False) -> Base:
        """The base of a recipe, trained now if there is none: that takes a minute or two.

        Raises TrainingCancelled when `stop_wanted` says so meanwhile.
        """
        while not self._making.acquire(timeout=_WAIT_SECONDS):
            if stop_wanted():
                raise TrainingCancelled("the training was cancelled while it waited for its base model")
        try:
            if recipe not in self._ready:
                digest = recipe.digest(torch.__version__, transformers.__version__, tokenizers.__version__)
                folder = self._folder / digest
                if not (folder / _FACTS).is_file():
                    self._make(recipe, folder, stop_wanted)
                vocabulary = Vocabulary.load((folder / _VOCABULARY).read_text("utf-8"))
                self._ready[recipe] = Base(recipe, digest, vocabulary, folder / _WEIGHTS)
            return self._ready[recipe]
        finally:
            self._making.release()

    def _make(self, recipe: Recipe, folder: Path, stop_wanted: Callable[[], bool]) -> None:
        """Trains, and puts the whole folder in place at once."""
        log.info("training base model %s from scratch on generic text: %s", folder.name, recipe)
        started = time.monotonic()
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = Path(mkdtemp(prefix=f"{folder.name}.partial-", dir=self._folder))
        try:
            facts = _pretrain(recipe, partial, stop_wanted)
            facts["seconds"] = round(time.monotonic() - started, 1)
            (partial / _FACTS).write_text(json.dumps(facts, indent=2), "utf-8")
            shutil.rmtree(folder, ignore_errors=True)
            partial.rename(folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        log.info("base model %s is ready: %s", folder.name, facts)


def _pretrain(recipe: Recipe, folder: Path, stop_wanted: Callable[[], bool]) -> dict[str, Any]:
    vocabulary = Vocabulary.learn(primer.texts(_VOCABULARY_ROWS, recipe.seed), recipe.vocabulary)
    read = (
        example_of(row, vocabulary, recipe.context_tokens) for row in primer.rows(recipe.rows, recipe.seed)
    )
    examples = [example for example in read if example is not None]
    model = _new_model(recipe, len(vocabulary))
    pad = vocabulary.id_of(Control.PAD)
    warm_up = Trainer(
        model, Course(recipe.learning_rate, recipe.warm_up_steps, recipe.seed, pad), stop_wanted
    )
    warm_up_loss = warm_up.epoch(_copies(recipe, vocabulary), recipe.warm_up_rows)
    trainer = Trainer(model, Course(recipe.learning_rate, recipe.steps, recipe.seed, pad), stop_wanted)
    losses = []
    while (rest := recipe.steps - trainer.steps_completed) > 0:
        losses.append(round(trainer.epoch(examples, recipe.batch_rows, most_steps=rest), 4))
    save_file(model.state_dict() | {"lm_head.weight": model.lm_head.weight.clone()}, folder / _WEIGHTS)
    (folder / _VOCABULARY).write_text(vocabulary.dump(), "utf-8")
    return {
        "parameters": sum(each.numel() for each in model.parameters()),
        "vocabulary": len(vocabulary),
        "warm_up_loss": round(warm_up_loss, 4),
        "losses": losses,
    }


def _copies(recipe: Recipe, vocabulary: Vocabulary) -> list[Example]:
    """Random tokens and the same again: copying is learnt from these in a fraction of the time."""
    rng = random.Random(recipe.seed)
    words = len(vocabulary) - len(Control)
    user, text, end = (vocabulary.id_of(each) for each in (Control.USER, Control.TEXT, Control.END))
    made = []
    for _ in range(recipe.warm_up_steps * recipe.warm_up_rows):
        said = [rng.randrange(words) for _ in range(rng.randint(3, 14))]
        before = [rng.randrange(words) for _ in range(rng.randint(0, 6))]
        prompt = [user, *before, user, *said, text]
        made.append(Example([*prompt, *said, end], len(prompt)))
    return made


def _new_model(recipe: Recipe, vocabulary: int) -> Any:
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=recipe.hidden,
        intermediate_size=4 * recipe.hidden,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=recipe.context_tokens,
        tie_word_embeddings=True,
        use_cache=False,
        # The library's default is for widths of thousands: narrow layers would take long to wake.
        initializer_range=recipe.hidden**-0.5,
    )
    with drawing(recipe.seed):
        return LlamaForCausalLM(config)

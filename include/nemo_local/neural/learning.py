"""Gradient steps over examples, for bases and adapters alike; the loss is on the answer's tokens only."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from include.nemo_local.engine.errors import TrainingCancelled
from include.nemo_local.neural.chat import Example

_DRAWING = threading.Lock()
_IGNORED = -100
_WARM_UP_SHARE = 0.05
_MOST_NORM = 1.0
_MEASURED_ROWS = 32
_LIKE_LENGTH_BATCHES = 16


@dataclass(frozen=True, slots=True)
class Course:
    """How to train: steps grow to `learning_rate` and shrink to nothing at the end of `total_steps`."""

    learning_rate: float
    total_steps: int
    seed: int
    pad: int
    weight_decay: float = 0.01


@contextmanager
def drawing(*seed: int) -> Iterator[None]:
    """Inside, torch draws from that seed alone: its generator is one for all threads, and others wait.

    It cannot be entered twice by one thread.
    """
    with _DRAWING:
        torch.manual_seed(random.Random(repr(seed)).getrandbits(63))
        yield


class Trainer:
    """Trains the parameters of a model that want gradients. Equal input gives equal weights."""

    def __init__(self, model: Any, course: Course, stop_wanted: Callable[[], bool]) -> None:
        self._model, self._course, self._stop_wanted = model, course, stop_wanted
        self._wanted = [each for each in model.parameters() if each.requires_grad]
        self._optimizer = torch.optim.AdamW(
            self._wanted, lr=course.learning_rate, weight_decay=course.weight_decay, betas=(0.9, 0.98)
        )
        self.steps_completed = 0

    def epoch(self, examples: Sequence[Example], batch_rows: int, most_steps: int | None = None) -> float:
        """One pass in an order of its own; the mean loss met, in nats a token.

        Raises TrainingCancelled between two steps.
        """
        course = self._course
        rng = random.Random(f"{course.seed}/{self.steps_completed}")
        total, tokens = 0.0, 0
        self._model.train()
        for batch in _batches(examples, batch_rows, rng)[:most_steps]:
            if self._stop_wanted():
                raise TrainingCancelled(f"the training was cancelled after step {self.steps_completed}")
            summed, count = self._step(batch)
            total, tokens = total + summed, tokens + count
        return total / max(tokens, 1)

    def _step(self, batch: list[Example]) -> tuple[float, int]:
        for group in self._optimizer.param_groups:
            group["lr"] = self._course.learning_rate * self._pace()
        self._optimizer.zero_grad(set_to_none=True)
        with drawing(self._course.seed, self.steps_completed):
            summed, count = _loss(self._model, batch, self._course.pad)
            (summed / count).backward()
        torch.nn.utils.clip_grad_norm_(self._wanted, _MOST_NORM)
        self._optimizer.step()
        self.steps_completed += 1
        return float(summed.detach()), count

    def _pace(self) -> float:
        total = self._course.total_steps
        warm_up = max(1, round(total * _WARM_UP_SHARE))
        if self.steps_completed < warm_up:
            return (self.steps_completed + 1) / warm_up
        done = (self.steps_completed - warm_up) / max(1, total - warm_up)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def _batches(examples: Sequence[Example], batch_rows: int, rng: random.Random) -> list[list[Example]]:
    """All examples in batches of rows of like length (padding costs as much as text), in any order."""
    order = list(examples)
    rng.shuffle(order)
    span = batch_rows * _LIKE_LENGTH_BATCHES
    made = []
    for start in range(0, len(order), span):
        near = sorted(order[start : start + span], key=lambda example: len(example.ids))
        made += [near[first : first + batch_rows] for first in range(0, len(near), batch_rows)]
    rng.shuffle(made)
    return made


def mean_loss(
    model: Any, examples: Sequence[Example], pad: int, stop_wanted: Callable[[], bool]
) -> float | None:
    """The loss in nats a token of the answers; None without examples. Raises TrainingCancelled."""
    model.eval()
    total, tokens = 0.0, 0
    for start in range(0, len(examples), _MEASURED_ROWS):
        if stop_wanted():
            raise TrainingCancelled("the training was cancelled while its loss was measured")
        with torch.no_grad():
            summed, count = _loss(model, examples[start : start + _MEASURED_ROWS], pad)
        total, tokens = total + float(summed), tokens + count
    return total / tokens if tokens else None


def _loss(model: Any, batch: Sequence[Example], pad: int) -> tuple[torch.Tensor, int]:
    """The summed loss and the number of tokens. Padding stands behind, where no earlier token sees it."""
    longest = max(len(example.ids) for example in batch)
    ids = torch.full((len(batch), longest), pad)
    wanted = torch.full((len(batch), longest), _IGNORED)
    for row, example in enumerate(batch):
        tokens = torch.tensor(example.ids)
        ids[row, : len(tokens)] = tokens
        wanted[row, example.start : len(tokens)] = tokens[example.start :]
    answers = wanted[:, 1:] != _IGNORED
    hidden = _decoder(model).model(input_ids=ids).last_hidden_state[:, :-1]
    # Only what is scored is projected on the vocabulary: that is most of a small decoder's work.
    logits = _decoder(model).lm_head(hidden[answers])
    targets = wanted[:, 1:][answers]
    return functional.cross_entropy(logits, targets, reduction="sum"), len(targets)


def _decoder(model: Any) -> Any:
    """The model below PEFT's wrapper, whose layers carry the adapter."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model
